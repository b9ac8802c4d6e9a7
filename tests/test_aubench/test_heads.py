"""Heads are chosen by probability and by loss, and their mistakes are listed."""

import shutil

import numpy as np
import pandas as pd
import pytest

from aubench import plots
from aubench.inference.predict import predict
from aubench.inspection.heads import WIDE, best_and_worst, mistakes, strongest_faces
from aubench.report import results
from aulib.run import Run
from conftest import TINY_AUS


class TestStrongest:
    @pytest.fixture
    def table(self, finished, tmp_path) -> pd.DataFrame:
        table = predict(finished.full, finished.target, tmp_path / "out.csv")
        return table.assign(AU12_p=np.arange(24) / 100, AU26_p=np.arange(24)[::-1] / 50)

    def test_the_strongest_faces_of_an_au_come_first(self, table, finished):
        rows = strongest_faces(table, finished.target, 3, ["AU12", "AU26"])
        assert {au: [text for _, text in faces] for au, faces in rows.items()} == {
            "AU12": ["0.23", "0.22", "0.21"], "AU26": ["0.46", "0.44", "0.42"],
        }  # fmt: skip
        assert rows["AU12"][0][0].shape == (WIDE.size, WIDE.size, 3)
        figure = plots.draw_face_rows(rows, "strongest")
        written = [text.get_text() for axis in figure.axes for text in axis.texts]
        assert len(figure.axes) == 6 and {"0.23", "0.42", "AU12\nlip corner puller"} <= set(written)

    def test_pictures_without_a_face_are_skipped(self, table, finished):
        table.loc[5:, "status"] = "no face found"
        assert len(strongest_faces(table, finished.target, aus=["AU12"])["AU12"]) == 5
        with pytest.raises(ValueError, match="4 AUs and 0 faces"):
            strongest_faces(table.assign(status="no face found"), finished.target)


class TestBestAndWorst:
    def test_the_worst_face_is_the_one_with_the_largest_loss(self, finished):
        table = pd.read_csv(finished.full / "predictions_target_test.csv")
        p, y = (table[[f"{au}_{kind}" for au in TINY_AUS]].to_numpy() for kind in ("p", "true"))
        losses = -np.log(np.where(y == 1, p, 1 - p)).mean(1)
        ranked = results.faces_by_loss(finished.full)
        assert ranked["image"].tolist() == table["image"].iloc[np.argsort(losses, kind="stable")].tolist()
        run = Run(finished.full)
        samples = run.samples()
        rows = best_and_worst(ranked, run, count=2)
        kept = ranked[ranked["image"].isin(samples.names)]
        for name, row in (("best", kept.iloc[0]), ("worst", kept.iloc[-1])):
            picture, text = rows[name][0]
            assert text == mistakes(row, TINY_AUS)
            np.testing.assert_array_equal(picture, samples.images[list(samples.names).index(row["image"])])
        whole = best_and_worst(ranked, run, str(finished.target), count=2)
        assert whole["worst"][0][0].shape == (WIDE.size, WIDE.size, 3)
        with pytest.raises(ValueError, match="is not the target that .* was tested on"):  # names are the same
            best_and_worst(ranked, run, str(finished.source), count=2)

    def test_missed_and_wrong_aus(self):
        table = pd.DataFrame({"AU01_true": [1, 0, 1], "AU01_c": [0, 1, 1]})
        assert [mistakes(face, ["AU01"]) for _, face in table.iterrows()] == ["-1", "+1", "all right"]

    def test_a_target_without_labels_has_no_best_face(self, finished, tmp_path):
        run = shutil.copytree(finished.full, tmp_path / "run")
        file = run / "predictions_target_test.csv"
        table = pd.read_csv(file)
        table.assign(**{f"{au}_true": np.nan for au in TINY_AUS}).to_csv(file, index=False)
        with pytest.raises(ValueError, match="no AU labels"):
            best_and_worst(results.faces_by_loss(run), Run(run))

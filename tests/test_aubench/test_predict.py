"""A finished run scores a labelled set, and predicts every picture of any folder."""

import errno
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import aulib
from aubench.cli.main import app
from aubench.datasets import face_finding
from aubench.datasets.interchange.folders import import_table
from aubench.inference import predict as prediction
from aubench.inference.adapt import adapt
from aubench.inference.predict import NO_FACE, contrast, evaluate, predict, squares_read, to_picture
from aubench.study.run_lock import RunIsHeld, run_lock
from aufaces.actions import AUS
from aufaces.domains import domain_called, picture, sample_face
from aufaces.renderer import FaceRenderer
from aulib.crops import CropSpec, crop_dataset, crop_face, crop_matrix, crop_of
from aulib.dataset import read_dataset
from aulib.evaluate import Predictions
from aulib.files import write_json
from aulib.landmarks import POINTS_49_IN_68, move_to_au_centres, point_columns
from aulib.metrics import icc
from aulib.run import CONFIG, WEIGHTS, NoFinishedRun, Run
from conftest import TINY_AUS, face_outline, write_tiny_set

LABELS = [f"{au}_c" for au in TINY_AUS]
POINTS = [f"{axis}_{k}" for axis in "xy" for k in range(68)]


@pytest.fixture
def copied(finished, tmp_path):
    """A function that copies the target set with its table changed."""

    def copy(change, name="copied"):
        folder = shutil.copytree(finished.target, tmp_path / name, ignore=shutil.ignore_patterns(".crops"))
        change(pd.read_csv(folder / "manifest.csv")).to_csv(folder / "manifest.csv", index=False)
        return folder

    return copy


class TestSides:
    """Rendered on purpose: a smile of the person's left side alone, and its mirror image."""

    def test_the_side_of_a_smile_is_told_and_of_aus_that_are_not_shown_nothing_is_said(self, tmp_path):
        pytest.importorskip("onnxruntime")
        sample = sample_face(domain_called("studio"), 5, 0, 8)
        levels = tuple(4.5 if au in ("AU12", "AU25") else 0.0 for au in AUS)
        expression = replace(sample.face.expression, left=levels, right=(0.0,) * len(AUS), nuisance=())
        face = replace(sample.face, expression=expression)
        image, _ = picture(domain_called("studio"), replace(sample, face=face), FaceRenderer(320))
        Image.fromarray(image).save(tmp_path / "left.png")
        Image.fromarray(image[:, ::-1]).save(tmp_path / "right.png")
        run = aulib.pretrained()
        table = predict(run.path, tmp_path, sides=True, all_aus=True).set_index("image")
        assert (table["AU12_c"] == 1).all()
        left, right = table["AU12_side"]["left.png"], table["AU12_side"]["right.png"]
        assert left > 1 and right < -1
        silent = table["AU01_c"] != 1
        assert silent.all() and table["AU01_side"].isna().all()
        given = predict(run.path, tmp_path, sides=True).filter(like="_side")
        assert {name[:4] for name in given} == set(run.side_weights) - set(run.withheld)

        told = CliRunner().invoke(app, ["predict", str(tmp_path / "left.png"), "--sides"]).output
        assert re.search(r"AU12 is stronger on the person's left, by \d\.\d of 5", told)

    def test_of_a_face_that_shows_nothing_no_side_is_told(self, tmp_path):
        pytest.importorskip("onnxruntime")
        sample = sample_face(domain_called("studio"), 5, 0, 8)
        calm = (0.0,) * len(AUS)
        face = replace(sample.face, expression=replace(sample.face.expression, left=calm, right=calm))
        image, _ = picture(domain_called("studio"), replace(sample, face=face), FaceRenderer(320))
        Image.fromarray(image).save(tmp_path / "calm.png")
        told = CliRunner().invoke(app, ["predict", str(tmp_path / "calm.png"), "--sides"]).output
        assert "no AU is present of those with a side, AU01, AU02, AU12" in told and "stronger" not in told

    @pytest.mark.parametrize("weights, said", [
        ({}, "does not tell left from right"),
        ({"AU12": [[1.0]]}, "config.json is damaged: side_weights of AU12, expected 7 rows of 7 numbers"),
        ({"AU12": [[1.0] * 7] * 6 + [[1.0]]}, "is damaged: side_weights of AU12"),
        ({"AU43": [[1.0] * 7] * 7}, "is damaged: side_weights of AU43"),
    ])  # fmt: skip
    def test_a_run_that_cannot_tell_sides_refuses(self, weights, said, finished, tmp_path):
        run = shutil.copytree(aulib.pretrained().path, tmp_path / "run")
        saved = json.loads((run / CONFIG).read_text())
        saved["settings"]["side_weights"] = weights
        (run / CONFIG).write_text(json.dumps(saved))
        with pytest.raises(ValueError, match=said):
            predict(run, finished.target, sides=True)


class TestContrasts:
    def test_predictions_are_paired_with_the_expressions_of_their_faces(self, finished, copied):
        """Where AU12 is more probable a face is happy here, so its AUC is 1; one without landmarks is out."""
        read = predict(finished.full, finished.target)
        happy = (read["AU12_p"] > read["AU12_p"].median()).to_numpy()

        def labelled(table):
            table = table.copy().assign(meta_expression=np.where(happy, "happy", "neutral"))
            table.loc[3, POINTS] = np.nan
            return table

        found = contrast(finished.full, copied(labelled))
        assert found.unread == found.as_json()["unread"] == 1
        scores = found.contrasts.set_index("au")
        assert scores.loc["AU12", "auc"] == 1 and scores.loc["AU06", "auc"] < 1
        assert scores.loc["AU12", "faces"] == happy.sum() - happy[3]

    def test_a_set_without_expressions_is_refused_and_a_word_named_with_its_row(self, finished, copied):
        with pytest.raises(ValueError, match="has no column meta_expression"):
            contrast(finished.full, finished.target)
        wrong = copied(lambda table: table.copy().assign(meta_expression="grumpy"))
        with pytest.raises(ValueError, match=f"{wrong}: meta_expression of row 2 is 'grumpy'"):
            contrast(finished.full, wrong)


class TestEvaluate:
    def test_agrees_with_what_training_measured(self, finished):
        measured = Run(finished.full).metrics
        assert np.isfinite(measured["target.mean.auc"]) and np.isfinite(measured["source.landmarks.nme"])
        for domain in ("source", "target"):
            scores = evaluate(finished.full, getattr(finished, domain))
            for key in ("mean.f1", "mean.auc", "mean.f1_norm_low", "per_au.AU12.f1", "landmarks.nme", "n"):
                assert scores[key] == pytest.approx(measured[f"{domain}.{key}"], rel=1e-4, nan_ok=True), key

    def test_reads_its_source_directly_and_anything_else_as_a_target(self, finished, tmp_path):
        moved = shutil.copytree(finished.source, tmp_path / "moved")
        assert evaluate(finished.full, finished.source)["read_from"] == "features"
        assert evaluate(finished.full, moved)["read_from"] == "features"  # known by its data version
        assert evaluate(finished.full, finished.target)["read_from"] == "both"
        other_way = evaluate(finished.full, finished.target, read_from="features")
        assert other_way["read_from"] == "features"
        third = evaluate(finished.full, finished.target, read_from="reconstruction")
        assert other_way["mean.auc"] != third["mean.auc"]

    def test_scores_the_aus_both_have_and_leaves_the_others_null(self, finished, copied, tmp_path):
        relabelled = copied(lambda table: table.drop(columns=["AU01_c", "AU26_c"]).copy().assign(AU43_c=1))
        scores = evaluate(finished.full, relabelled)
        whole = evaluate(finished.full, finished.target)
        assert scores["per_au.AU12.f1"] == pytest.approx(whole["per_au.AU12.f1"], nan_ok=True)
        assert np.isnan(scores["per_au.AU01.f1"]) and np.isnan(scores["per_au.AU26.auc"])
        both = [whole["per_au.AU06.auc"], whole["per_au.AU12.auc"]]
        assert scores["mean.auc"] == pytest.approx(np.nanmean(both))
        assert not [key for key in scores if "AU43" in key]
        write_json(tmp_path / "scores.json", scores)
        assert json.loads((tmp_path / "scores.json").read_text())["per_au.AU01.f1"] is None

    def test_intensities_are_those_of_the_curve_and_scored(self, finished, copied, tmp_path):
        run = shutil.copytree(finished.full, tmp_path / "run")
        saved = json.loads((run / "config.json").read_text())
        saved["settings"]["intensity_curves"] = {"AU12": np.linspace(0, 5, 25).tolist()}
        (run / "config.json").write_text(json.dumps(saved))
        read = predict(run, finished.target)
        odds = np.log(read["AU12_p"] / (1 - read["AU12_p"]))
        np.testing.assert_allclose(read["AU12_r"], (odds + 6) * 5 / 12, atol=0.006)
        assert list(read).index("AU12_r") == list(read).index("AU12_p") + 1 and "AU06_r" not in read
        assert "AU12_r" not in predict(finished.full, finished.target)

        levels = np.tile([0.0, 1.0, 4.0, np.nan], 6)
        scores = evaluate(run, copied(lambda table: table.copy().assign(AU12_r=levels, AU06_r=3.0)))
        tested = (pd.read_csv(finished.target / "manifest.csv")["split"] == "test").to_numpy()
        known = tested & ~np.isnan(levels)
        error = (read["AU12_r"] - levels)[known].abs().mean()
        assert scores["per_au.AU12.intensity_error"] == pytest.approx(error, abs=0.01)
        assert scores["mean.icc"] == scores["per_au.AU12.icc"]
        assert scores["mean.icc"] == pytest.approx(icc(read["AU12_r"][known], levels[known]), abs=0.01)
        assert "mean.icc" not in evaluate(run, finished.target)

    def test_errors_are_those_of_aus_that_are_given(self, finished, tmp_path):
        run = shutil.copytree(finished.full, tmp_path / "run")
        saved = json.loads((run / "config.json").read_text())
        saved["settings"]["withheld"] = [au for au in TINY_AUS if au != "AU12"]
        (run / "config.json").write_text(json.dumps(saved))
        data, read = read_dataset(finished.target), predict(run, finished.target)
        rows = data.rows("test")
        p, true = read["AU12_p"][rows], data.occurrence[rows, data.aus.index("AU12")]
        scores = evaluate(run, finished.target)
        assert scores["errors.expected"] == pytest.approx(np.minimum(p, 1 - p).mean(), abs=1e-3)
        assert scores["errors.all"] == pytest.approx(((p >= 0.5) != true).mean())

    def test_a_set_that_labels_only_withheld_aus_is_scored(self, finished, copied, tmp_path):
        run = shutil.copytree(finished.full, tmp_path / "run")
        saved = json.loads((run / "config.json").read_text())
        saved["settings"] |= {"withheld": list(TINY_AUS), "intensity_curves": {"AU12": [1.0] * 25}}
        (run / "config.json").write_text(json.dumps(saved))
        scores = evaluate(run, copied(lambda table: table.copy().assign(AU12_r=np.nan)))
        assert np.isfinite(scores["mean.auc"]) and not [
            key for key in scores if "errors" in key or "icc" in key
        ]

    def test_expected_and_real_errors_by_hand(self):
        """Two AUs of five faces; the surest 80 % leave out the two calls near 0.5, and the fourth face."""
        p = np.array([[0.1, 0.9], [0.1, 0.1], [0.2, 0.8], [0.6, 0.45], [0.9, 0.2]])
        labels = np.array([[0, 1], [1, 0], [0, np.nan], [1, 1], [1, 0.0]])
        found = prediction._errors(p, labels)
        assert found["errors.all"] == pytest.approx(2 / 9)
        assert found["errors.expected"] == pytest.approx((5 * 0.1 + 2 * 0.2 + 0.4 + 0.45) / 9)
        assert found["errors.surest"] == pytest.approx(1 / 7)
        assert found["errors.surest_faces"] == pytest.approx(1 / 7)

    def test_a_set_of_49_landmarks_can_be_scored(self, finished, copied):
        def to_49(table):
            kept = table[["image", "subject", "split", *(f"{au}_c" for au in TINY_AUS)]].copy()
            points = {f"{a}_{k}": table[f"{a}_{p}"] for a in "xy" for k, p in enumerate(POINTS_49_IN_68)}
            return pd.concat([kept, pd.DataFrame(points)], axis=1)

        scores = evaluate(finished.full, copied(to_49))
        assert 0 < scores["landmarks.nme"] < 3 and 0 <= scores["mean.auc"] <= 1

    @pytest.mark.parametrize(
        "change, names",
        [
            (lambda table: table.drop(columns=LABELS), "AU01_c"),
            (lambda table: table.drop(columns=LABELS[1:]).rename(columns={LABELS[0]: "AU43_c"}),
             "AU43.*AU01, AU06, AU12, AU26"),
            (lambda table: table.assign(**dict.fromkeys(LABELS, np.nan)), "'test'.*AU01, AU06, AU12, AU26"),
            (lambda table: table[table["split"] != "test"], "'test'.*train, val"),
        ],
        ids=["no labels", "other AUs", "empty labels", "no test split"],
    )  # fmt: skip
    def test_names_what_cannot_be_scored(self, change, names, finished, copied):
        with pytest.raises(ValueError, match=names):
            evaluate(finished.full, copied(change))


class TestPredictOnADataset:
    def test_has_a_row_for_every_picture_in_openface_columns(self, finished, tmp_path):
        table = predict(finished.full, finished.target, tmp_path / "new" / "out.csv")
        saved = pd.read_csv(tmp_path / "new" / "out.csv")
        assert list(saved.columns[:3]) == ["image", "status", "note"]
        for au in TINY_AUS:
            assert ((table[f"{au}_p"] >= 0.5) == (table[f"{au}_c"] == 1)).all()
        assert {"x_0", "x_67", "y_0", "y_67"} <= set(saved.columns) and "x_68" not in saved
        assert saved["image"].tolist() == pd.read_csv(finished.target / "manifest.csv")["image"].tolist()
        assert (saved["status"] == "ok").all()

    def test_is_read_back_as_labels_with_its_own_columns(self, finished, tmp_path):
        table = predict(finished.full, finished.target, tmp_path / "out.csv")
        landmarks = read_dataset(finished.target).landmarks  # the run's own are no face's
        with_side = pd.read_csv(tmp_path / "out.csv").copy().assign(AU12_side=0.5, **point_columns(landmarks))
        with_side.to_csv(tmp_path / "out.csv", index=False)
        again = import_table("openface", tmp_path / "out.csv", finished.target, tmp_path / "set")
        assert again.occurrence.tolist() == table[[f"{au}_c" for au in again.aus]].to_numpy().tolist()
        assert np.allclose(again.landmarks, landmarks, atol=0.01)

    def test_is_written_over_an_earlier_table_and_over_no_other_file(self, finished, tmp_path):
        for _ in range(2):
            predict(finished.full, finished.target, tmp_path / "out.csv")
        labels = tmp_path / "labels.csv"
        labels.write_text("image,AU12\na.jpg,1\n")
        with pytest.raises(FileExistsError, match="labels.csv exists"):
            predict(finished.full, finished.target, labels)
        assert labels.read_text() == "image,AU12\na.jpg,1\n"
        with pytest.raises(ValueError, match=r"out.xlsx ends in .xlsx, and .csv is written"):
            predict(finished.full, finished.target, tmp_path / "out.xlsx")

    def test_of_two_that_write_one_table_the_later_is_told(self, finished, tmp_path):
        held = pytest.raises(RunIsHeld, match="out.csv is being written by process")
        with run_lock(tmp_path / "out.csv"), held:
            predict(finished.full, finished.target, tmp_path / "out.csv")
        assert len(predict(finished.full, finished.target, tmp_path / "out.csv"))

    def test_goes_on_where_it_was_stopped_and_gives_the_same_bytes(self, finished, tmp_path, monkeypatch):
        monkeypatch.setattr(prediction, "AT_ONCE", 5)
        monkeypatch.setenv("AULIB_CACHE", str(tmp_path / "cache"))
        read, calls = prediction.predict_crops, []

        def stopped(model, crops, read_from):
            calls.append(len(crops))
            if len(calls) == 3:
                raise stop
            return read(model, crops, read_from)

        monkeypatch.setattr(prediction, "predict_crops", stopped)
        for stop in (KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")):
            calls.clear()
            whole, resumed = tmp_path / "whole.csv", tmp_path / "resumed.csv"
            with pytest.raises(type(stop)):
                predict(finished.full, finished.target, resumed)
            assert len(list(tmp_path.glob("cache/predictions/*/*.parquet"))) == 2 and not resumed.exists()
            predict(finished.full, finished.target, resumed)
            assert calls == [5, 5, 5, 5, 5, 4]  # the third again, then the rest
            predict(finished.full, finished.target, whole)
            assert resumed.read_bytes() == whole.read_bytes()
            assert not list(tmp_path.glob("cache/predictions/*"))
            resumed.unlink()

    def test_what_was_kept_is_not_taken_for_other_weights_or_pictures(self, finished, tmp_path, monkeypatch):
        monkeypatch.setenv("AULIB_CACHE", str(tmp_path / "cache"))
        keep = tmp_path / "kept"
        kept, names = prediction.kept_parts, []
        monkeypatch.setattr(prediction, "kept_parts", lambda *about: names.append(kept(*about)) or names[-1])
        other = shutil.copytree(finished.full, tmp_path / "other")
        weights = load_file(other / WEIGHTS)
        save_file({name: value * 2 for name, value in weights.items()}, other / WEIGHTS)
        for run, faces in (("full", "target"), ("full", "source"), ("other", "target")):
            predict(other if run == "other" else finished.full, getattr(finished, faces), keep / "out.csv")
        assert len(set(names)) == 3

    def test_a_folder_that_cannot_be_written_is_named_before_the_work(self, finished, tmp_path, monkeypatch):
        (tmp_path / "file").touch()
        monkeypatch.setattr(prediction, "predict_crops", None)
        for out in (tmp_path / "file" / "out.csv", Path("/proc/out.csv")):
            with pytest.raises(OSError, match="out.csv cannot be written .*choose another folder"):
                predict(finished.full, finished.target, out)

    def test_a_home_that_cannot_be_written_stops_no_prediction(self, finished, tmp_path, monkeypatch):
        monkeypatch.setenv("AULIB_CACHE", "/dev/null/cache")
        assert len(predict(finished.full, finished.target, tmp_path / "out.csv"))

    def test_a_cache_that_may_be_read_only_stops_no_prediction(self, finished, tmp_path, monkeypatch):
        monkeypatch.setenv("AULIB_CACHE", str(tmp_path / "cache"))
        allowed = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: "cache" not in str(path) and allowed(path, mode))
        assert len(predict(finished.full, finished.target, tmp_path / "out.csv"))
        assert not list((tmp_path / "cache").rglob("*.parquet"))

    def test_undoes_the_crop(self, finished, tmp_path, monkeypatch):
        data = read_dataset(finished.target)
        config = Run(finished.full).config
        crops = crop_dataset(data, crop_of(config), progress=False)
        exact = Predictions(np.full((len(data), len(config.aus)), 0.5), crops.landmarks)
        monkeypatch.setattr("aubench.inference.predict.predict_crops", lambda *arguments: exact)
        table = predict(finished.full, finished.target, tmp_path / "out.csv")
        found = table[POINTS].to_numpy().reshape(-1, 2, 68).transpose(0, 2, 1)
        np.testing.assert_allclose(found, data.landmarks, atol=0.02)

    def test_a_dataset_without_any_landmarks_is_refused(self, finished, copied, tmp_path):
        folder = copied(lambda table: table.drop(columns=POINTS))
        with pytest.raises(ValueError, match="aulib prepare"):
            predict(finished.full, folder, tmp_path / "out.csv")
        assert not (tmp_path / "out.csv").exists()

    def test_pictures_without_landmarks_and_skipped_ones_keep_a_row(self, finished, copied, tmp_path):
        def forget(table):
            table.loc[3, POINTS] = np.nan
            return table

        folder = copied(forget)
        other_face = "001.png,another face is larger in this picture"  # as `aulib import` lists it
        (folder / "skipped.csv").write_text(f"image,reason\nholiday/sea.jpg,no face found\n{other_face}\n")
        predict(finished.full, folder, tmp_path / "out.csv")
        table = pd.read_csv(tmp_path / "out.csv").set_index("image")
        assert len(table) == 25
        assert table.loc["holiday/sea.jpg", "status"] == "no face found"
        assert table.loc["images/003.png", "status"] == "no landmarks"
        unread = table.loc[["images/003.png", "holiday/sea.jpg"], ["AU12_p", "AU12_c", "x_0"]]
        assert unread.isna().all(axis=None)
        (folder / "skipped.csv").write_text("frame,reason,frames\nF001/T1,unreadable,3\n")  # `aulib convert`
        assert len(predict(finished.full, folder, tmp_path / "frames.csv")) == 24
        whole = predict(finished.full, finished.target, tmp_path / "whole.csv").set_index("image")
        others = table.index[table["status"] == "ok"]
        np.testing.assert_allclose(table.loc[others, "AU12_p"], whole.loc[others, "AU12_p"], atol=2e-4)


class TestPredictOnPhotographs:
    @pytest.fixture
    def photographs(self, tmp_path, monkeypatch):
        """Three pictures, one of them broken; white ones hold one face, grey ones two, black ones none."""
        folder = tmp_path / "photographs"
        (folder / "trip").mkdir(parents=True)
        for name, grey, size in (("white", 255, 2000), ("trip/grey", 128, 300), ("black", 0, 300)):
            Image.new("RGB", (size, size), (grey,) * 3).save(folder / f"{name}.png")
        (folder / "broken.jpg").write_bytes(b"not a picture")

        def detect(image):
            faces = {255: 1, 128: 2, 0: 0}[int(image[0, 0, 0])]
            return (face_outline(len(image)).astype(np.float32), faces) if faces else (None, 0)

        monkeypatch.setattr(face_finding, "detect_landmarks", detect)
        return folder

    def test_every_picture_keeps_a_row_with_its_status(self, photographs, finished, tmp_path, monkeypatch):
        def last_first(work, tasks, workers, crashed):  # workers finish in any order
            return map(work, tasks[::-1])

        monkeypatch.setattr("aubench.inference.predict.crash_tolerant_map", last_first)
        predict(finished.full, photographs, tmp_path / "out.csv")
        table = pd.read_csv(tmp_path / "out.csv").set_index("image")
        assert table.index.tolist() == ["black.png", "broken.jpg", "trip/grey.png", "white.png"]
        assert table["status"].str.slice(0, 7).tolist() == ["no face", "unreada", "ok", "ok"]
        assert table.loc["trip/grey.png", "note"] == "2 faces, the largest is used"
        assert (table["AU12_p"].notna() == (table["status"] == "ok")).all()

    def test_every_file_keeps_a_row_whatever_its_name_and_kind(self, photographs, finished, tmp_path):
        shutil.copy(photographs / "white.png", os.fsencode(photographs) + b"/caf\xe9.png")
        shutil.copy(photographs / "white.png", photographs / "without_suffix")
        (photographs / "notes.txt").write_text("no picture")
        (tmp_path / "elsewhere").mkdir()
        shutil.copy(photographs / "white.png", tmp_path / "elsewhere/linked.png")
        os.symlink(tmp_path / "elsewhere", photographs / "link")
        predict(finished.full, photographs, tmp_path / "out.csv")
        status = pd.read_csv(tmp_path / "out.csv").set_index("image")["status"]
        assert status[["caf\\udce9.png", "without_suffix", "link/linked.png"]].eq("ok").all()
        assert status["notes.txt"].startswith("no picture") and len(status) == 8

    def test_coordinates_are_those_of_the_whole_picture(self, photographs, finished, tmp_path):
        table = predict(finished.full, photographs, tmp_path / "out.csv", workers=1).set_index("image")
        spec = crop_of(Run(finished.full).config)
        as_shown = (face_outline(1600) + 0.5) * 2000 / 1600 - 0.5  # searched at 1600 pixels
        expected = squares_read(crop_matrix(as_shown, spec)[None], spec.size)[0]
        found = table.loc["white.png", ["face_x", "face_y", "face_size", "face_roll"]].to_numpy(dtype=float)
        np.testing.assert_allclose(found, expected, atol=0.05)

    def test_a_single_picture_is_read_as_in_its_folder(self, photographs, finished, tmp_path):
        whole = predict(finished.full, photographs, workers=1).set_index("image")
        table = predict(finished.full, photographs / "white.png")
        assert table["image"].tolist() == ["white.png"]
        pd.testing.assert_series_equal(table.set_index("image").loc["white.png"], whole.loc["white.png"])

    def test_an_earlier_result_among_the_pictures_gets_no_row(self, photographs, finished):
        out = photographs / "out.csv"
        first = predict(finished.full, photographs, out)["image"].tolist()
        assert predict(finished.full, photographs, out)["image"].tolist() == first

    def test_no_picture_at_all_is_an_error(self, finished, tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no .*nowhere"):
            predict(finished.full, tmp_path / "nowhere", tmp_path / "out.csv")
        with pytest.raises(FileNotFoundError, match="no picture"):
            (tmp_path / "empty").mkdir()
            predict(finished.full, tmp_path / "empty", tmp_path / "out.csv")


def test_landmarks_moved_to_au_centres_come_back_exactly():
    points = face_outline(100)[None]
    unchanged = np.eye(2, 3)[None]
    assert np.abs(move_to_au_centres(points) - points).max() > 5
    np.testing.assert_allclose(to_picture(move_to_au_centres(points), unchanged, True), points, atol=1e-9)


def test_the_square_read_of_a_turned_face():
    """A crop of 101 px that halves the picture, turned by 30 degrees, of a face centred at (200, 80)."""
    turn = np.radians(30)
    rotation = 0.5 * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    matrix = np.concatenate([rotation, (50 - rotation @ [200, 80])[:, None]], axis=1)
    np.testing.assert_allclose(squares_read(matrix[None], 101), [[200, 80, 200, 30]])


def test_a_run_that_never_learned_landmarks_gives_none(finished, tmp_path):
    measured = json.loads((finished.source_only / "metrics.json").read_text())
    assert measured["target.landmarks.nme"] is None and measured["target.mean.auc"] is not None
    assert np.isnan(evaluate(finished.source_only, finished.target)["landmarks.nme"])
    table = predict(finished.source_only, finished.target, tmp_path / "out.csv")
    assert table[["x_0", "y_67"]].isna().all(axis=None) and table["AU12_p"].notna().all()


@pytest.fixture(scope="module")
def sixty(tmp_path_factory):
    """Faces of expressions, without AU labels."""
    folder = write_tiny_set(tmp_path_factory.mktemp("adapt") / "faces", n=60, seed=3, labelled=False)
    table = pd.read_csv(folder / "manifest.csv").copy()
    table = table.assign(meta_expression=np.where(table.index % 2, "happy", "neutral"))
    table.to_csv(folder / "manifest.csv", index=False)
    return folder


class TestAdapt:
    def test_an_au_is_called_present_as_often_as_its_rate_says(self, finished, sixty, tmp_path):
        found = adapt(finished.full, sixty, tmp_path / "run", {"AU12": 0.3, "AU06": 0.5}, steps=0)
        after = found["rates"].set_index("au")["after"]
        assert after["AU12"] == pytest.approx(0.3, abs=0.02) and after["AU06"] == pytest.approx(0.5, abs=0.02)
        old, new = predict(finished.full, sixty), predict(tmp_path / "run", sixty)
        assert old["AU12_p"].rank().corr(new["AU12_p"].rank()) > 0.99  # the order of the faces stays
        assert Run(tmp_path / "run").missing == []  # the app and the report open it, too
        assert set(found["contrasts"]) == {"before", "after"}
        assert found["contrasts"]["before"]["auc"] == pytest.approx(
            found["contrasts"]["after"]["auc"], abs=0.02
        )

    def test_training_goes_on_from_the_weights_of_the_run(self, finished, sixty, tmp_path):
        """The run's weights are doubled, so that no fresh start, whatever its seed, comes near them."""
        doubled = shutil.copytree(finished.full, tmp_path / "doubled")
        weights = load_file(doubled / WEIGHTS)
        names = [name for name in weights if name.startswith("encoder") and name.endswith("weight")]
        save_file(weights | {name: 2 * weights[name] for name in names}, doubled / WEIGHTS)
        adapt(doubled, sixty, tmp_path / "run", steps=1, source=finished.source)
        run = Run(tmp_path / "run")
        assert run.settings["target"] == str(sixty) and run.settings["steps"] == 1
        moved = {name: (run.model.state_dict()[name] - 2 * weights[name]).abs().mean() for name in names}
        assert names and all(0 < moved[name] < 0.3 * weights[name].abs().mean() for name in names)

    @pytest.mark.parametrize(
        ("rates", "said"),
        [({"AU12": 1.5}, "rate of AU12 1.5"), ({"AU99": 0.1}, "rates name AU99")],
    )
    def test_impossible_rates_are_refused(self, finished, sixty, tmp_path, rates, said):
        with pytest.raises(ValueError, match=said):
            adapt(finished.full, sixty, tmp_path / "run", rates)

    def test_a_few_faces_and_a_run_that_is_there_are_refused(self, finished, tmp_path):
        with pytest.raises(ValueError, match=r"too few to adapt to; expected 50"):
            adapt(finished.full, finished.target, tmp_path / "run")
        with pytest.raises(FileExistsError, match="is a run already"):
            adapt(finished.full, finished.target, finished.source_only)
        (tmp_path / "mine/faces").mkdir(parents=True)  # as an adaptation that was stopped has, too
        (tmp_path / "mine/metrics.json").write_text("mine")
        with pytest.raises(FileExistsError, match="mine is not empty"):
            adapt(finished.full, finished.target, tmp_path / "mine")


class TestWithheld:
    def test_aus_that_a_run_withholds_are_read_on_request_only(self, finished, tmp_path):
        run = shutil.copytree(finished.full, tmp_path / "run")
        saved = json.loads((run / "config.json").read_text())
        saved["settings"]["withheld"] = ["AU12"]
        (run / "config.json").write_text(json.dumps(saved))
        assert "AU12_p" not in predict(run, finished.target) and "AU06_p" in predict(run, finished.target)
        pd.testing.assert_frame_equal(
            predict(run, finished.target, all_aus=True), predict(finished.full, finished.target)
        )

    def test_they_have_contrasts_and_are_neither_found_nor_false_alarms(self, finished, sixty, tmp_path):
        run = shutil.copytree(finished.full, tmp_path / "run")
        saved = json.loads((run / "config.json").read_text())
        saved["settings"]["withheld"] = ["AU12"]
        (run / "config.json").write_text(json.dumps(saved))
        scores, whole = contrast(run, sixty), contrast(finished.full, sixty)
        assert "AU12" not in set(scores.false_alarms["au"]) and "AU12" in set(whole.false_alarms["au"])
        found = scores.contrasts.set_index("au")["found"]
        assert np.isnan(found["AU12"]) and not np.isnan(found["AU06"])
        assert scores.contrasts["auc"].tolist() == whole.contrasts["auc"].tolist()


class TestOddInput:
    def test_a_fold_of_a_set_is_read(self, finished, copied):
        """All rows of the set, as the fold only says which split they are in."""
        coded = {f"AU{n:02d}_c": 0 for n in (2, 4, 7, 10, 14, 15, 17, 23, 24)}
        people = [f"F{n:03d}" for n in range(1, 13)] * 2
        bp4d = copied(lambda table: table.copy().assign(subject=people, **coded))
        assert len(predict(finished.full, f"{bp4d}#bp4d-3fold/part1")) == len(read_dataset(bp4d))

    def test_a_list_of_skipped_pictures_without_reasons_adds_no_rows(self, finished, copied):
        folder = copied(lambda table: table)
        (folder / "skipped.csv").write_text("image\na.jpg\n")
        assert len(predict(finished.full, folder)) == len(read_dataset(folder))

    def test_missing_weights_are_said_before_a_prediction_is_kept(self, finished, tmp_path):
        run = shutil.copytree(finished.full, tmp_path / "run")
        (run / WEIGHTS).unlink()
        with pytest.raises(NoFinishedRun, match="model.safetensors is missing"):
            predict(run, finished.target, tmp_path / "out.csv")


class TestTrust:
    def test_trust_is_the_expected_share_of_right_calls(self, finished):
        table = predict(finished.full, finished.target)
        p = table[[f"{au}_p" for au in TINY_AUS]].to_numpy(float)
        np.testing.assert_allclose(table["trust"], np.maximum(p, 1 - p).mean(1), atol=6e-4)

    def test_calls_that_are_too_unsure_are_left_empty(self, finished):
        whole = predict(finished.full, finished.target)
        p = whole["AU12_p"].to_numpy(float)
        limit = float(np.median(np.minimum(p, 1 - p)))
        table = predict(finished.full, finished.target, max_error=limit)
        left_out = np.minimum(p, 1 - p) > limit
        assert 0 < left_out.sum() < len(p) and (table["AU12_c"].isna() == left_out).all()
        assert (table["AU12_c"] == whole["AU12_c"])[~left_out].all()
        pd.testing.assert_series_equal(table["AU12_p"], whole["AU12_p"])

    def test_sure_calls_of_both_kinds_stay(self):
        table = pd.DataFrame({"AU12_p": [0.1, 0.45, 0.55, 0.9, np.nan], "AU12_c": [0, 0, 1, 1, pd.NA]})
        prediction.abstain(table, 0.2)
        assert table["AU12_c"].isna().tolist() == [False, True, True, False, True]

    @pytest.mark.parametrize("limit", [0.0, 0.51, float("nan")])
    def test_a_limit_that_is_no_error_is_refused(self, finished, limit):
        with pytest.raises(ValueError, match="max_error is .*, expected more than 0 and at most 0.5"):
            predict("no run", finished.target, max_error=limit)  # before anything is opened


@pytest.mark.parametrize("smooth", [True, False])
def test_a_photograph_is_cut_as_the_run_cuts_faces(smooth):
    pytest.importorskip("onnxruntime")
    photos = Path(aulib.__file__).parents[1] / "docs/london/images"
    face = face_finding.find_face("005_neutral.jpg", photos, CropSpec(100, smooth=smooth))
    with Image.open(photos / "005_neutral.jpg") as photo:
        of_both = [crop_face(photo, face.matrix, CropSpec(100, smooth=way)) for way in (smooth, not smooth)]
    assert np.array_equal(face.crop, of_both[0]) and not np.array_equal(face.crop, of_both[1])


class TestNoFace:
    def test_a_crop_above_the_limit_keeps_its_row_and_no_reading(self, finished, tmp_path):
        run = shutil.copytree(finished.full, tmp_path / "run")
        whole = predict(run, finished.target)
        saved = json.loads((run / "config.json").read_text())
        saved["settings"]["largest_entropy"] = 0.0
        (run / "config.json").write_text(json.dumps(saved))
        table = predict(run, finished.target)
        assert (table["status"] == NO_FACE).all() and (whole["status"] == "ok").all()
        assert table[["AU12_p", "AU12_c", "x_0"]].isna().all(axis=None)
        kept = ["image", "note", "face_x", "map_entropy"]
        pd.testing.assert_frame_equal(table[kept], whole[kept])

    @pytest.mark.parametrize(
        "change",
        [lambda picture: picture.rotate(180), lambda picture: picture.resize((1, 1)).resize(picture.size),
         lambda picture: picture.effect_spread(400)],
        ids=["upside down", "flat", "noise"],
    )  # fmt: skip
    def test_the_package_s_detector_reads_faces_and_nothing_else(self, tmp_path, change):
        """Landmarks are given, so that the crops are those of a face."""
        source = Path(__file__).parents[2] / "docs/london"
        folder = shutil.copytree(source, tmp_path / "set", ignore=shutil.ignore_patterns(".crops"))
        for path in (folder / "images").iterdir():
            change(Image.open(path)).save(path)
        read = predict(aulib.pretrained().path, folder)
        assert (read["status"] == NO_FACE).all() and read["AU12_p"].isna().all()
        assert (predict(aulib.pretrained().path, source)["status"] == "ok").all()

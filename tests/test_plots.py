"""Figures say what their tables say, keep the house rules and leave nothing behind."""

import re
import shutil

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from aubench import plots
from aubench.datasets import label_statistics
from aubench.inference import predict
from aubench.inspection import decoding
from aubench.inspection.attention import evidence_maps
from aubench.inspection.first_screen import read_kept_faces
from aubench.inspection.shown_faces import kept_faces
from aubench.plots import faces as faces_module
from aubench.plots.style import DOMAIN_COLOURS, METHOD_COLOURS, au_label, method_colour
from aubench.report import results
from aulib.dataset import read_dataset
from aulib.run import Run
from conftest import TINY_AUS, write_tiny_set
from tiny import tiny_model


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts if text.get_text()]


@pytest.fixture(scope="module")
def domains(finished) -> dict:
    return {"source": read_dataset(finished.source), "target": read_dataset(finished.target)}


def attention(run, aus: list[str]) -> Figure:
    model = Run(run).model
    pictures = kept_faces(run, model.config, "target", 2).pictures
    maps = evidence_maps(model, pictures, "features")
    return plots.draw_attention(decoding.shown_input(model, pictures), *maps, model.config.aus, aus)


def best_and_worst(run) -> Figure:
    return plots.draw_best_and_worst(results.faces_by_loss(run), Run(run).samples("target"), count=2)


@pytest.fixture(scope="module")
def drawn(finished, domains) -> dict[str, Figure]:
    """Every figure of a run, drawn once; rcParams before and after must agree."""
    before = dict(mpl.rcParams)
    runs = [finished.full, finished.source_only]
    chance = results.chance_of_supervisors(Run(finished.full).settings)
    figures = {
        "rates": plots.draw_base_rates(label_statistics.base_rates(domains)),
        "pairs": plots.draw_cooccurrence(
            {name: label_statistics.cooccurrence(it) for name, it in domains.items()}
        ),
        "history": plots.draw_history(Run(finished.full).history, chance),
        "methods": plots.draw_methods(results.table_of_methods(runs)),
        "per_au": plots.draw_per_au(results.table_per_au(runs)),
        "attention": attention(finished.full, ["AU12", "AU26"]),
        "first_screen": plots.draw_first_screen(*read_kept_faces(finished.full, count=2)),
        "best_and_worst": best_and_worst(finished.full),
    }  # fmt: skip
    assert dict(mpl.rcParams) == before
    return figures


def test_every_figure_is_returned_and_none_is_shown(drawn):
    import matplotlib.pyplot as pyplot

    assert all(isinstance(figure, Figure) for figure in drawn.values())
    assert pyplot.get_fignums() == []


def test_a_figure_is_saved_with_the_numbers_behind_it(drawn, domains, tmp_path):
    table = label_statistics.base_rates(domains)
    same = plots.save_figure(drawn["rates"], tmp_path / "new", "rates", table)
    assert same is drawn["rates"] and (tmp_path / "new" / "rates.png").stat().st_size > 1000
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "new" / "rates.csv"), table)


class TestBaseRates:
    def test_bars_are_as_long_as_the_rates_and_coloured_by_domain(self, drawn, domains):
        axis = drawn["rates"].axes[0]
        for domain, bars in zip(domains, axis.containers, strict=True):
            rates = 100 * np.nanmean(domains[domain].occurrence, axis=0)
            np.testing.assert_allclose([bar.get_width() for bar in bars], rates, rtol=1e-5)
            assert {to_hex(bar.get_facecolor()) for bar in bars} == {DOMAIN_COLOURS[domain].lower()}

    def test_aus_stand_in_facs_order_with_their_names(self, domains):
        shuffled = label_statistics.base_rates(domains).sample(frac=1, random_state=0)
        axis = plots.draw_base_rates(shuffled).axes[0]
        assert [label.get_text() for label in axis.get_yticklabels()] == [au_label(au) for au in TINY_AUS]
        assert au_label("AU12") == "AU12 lip corner puller"

    def test_unknown_labels_count_neither_way(self, tmp_path):
        folder = write_tiny_set(tmp_path / "set")
        table = pd.read_csv(folder / "manifest.csv").assign(AU12_c=[1] * 3 + [0] * 9 + [np.nan] * 12)
        table.to_csv(folder / "manifest.csv", index=False)
        row = label_statistics.base_rates({"it": read_dataset(folder)}).set_index("au").loc["AU12"]
        assert (row["base_rate"], row["support"], row["frames"]) == (0.25, 3, 12)


def test_cooccurrence_is_a_share_of_the_frames_with_the_first_au(tmp_path):
    folder = write_tiny_set(tmp_path / "set", n=4)
    table = pd.read_csv(folder / "manifest.csv").assign(AU06_c=[1, 1, 1, 0], AU12_c=[1, 0, np.nan, 1])
    table.to_csv(folder / "manifest.csv", index=False)
    rates = label_statistics.cooccurrence(read_dataset(folder)).set_index(["given", "also"])["rate"]
    assert rates["AU06", "AU12"] == pytest.approx(1 / 2)  # of two frames with AU06 where AU12 is known
    assert rates["AU12", "AU06"] == pytest.approx(1 / 2)
    assert rates["AU12", "AU12"] == 1


class TestScores:
    def test_guessing_is_drawn_among_the_supervisors(self, drawn, finished):
        panel = next(axis for axis in drawn["history"].axes if axis.get_title(loc="left") == "supervisors")
        chance = results.chance_of_supervisors(Run(finished.full).settings)
        dashed = {round(line.get_ydata()[0], 6) for line in panel.lines if line.get_linestyle() == "--"}
        assert dashed == {round(level, 6) for level in chance.values()}

    def test_every_logged_term_has_a_curve(self, drawn, finished):
        curves = {line.get_label() for axis in drawn["history"].axes for line in axis.lines}
        columns = set(Run(finished.full).history.columns) - {"step", "seconds", "total"}
        logged = {name for name in columns if not name.startswith("share.")}  # 04_ablation draws those
        assert logged <= curves

    def test_a_method_keeps_its_colour_and_an_unknown_one_gets_one(self):
        assert method_colour("full", ["mine", "full"]) == METHOD_COLOURS["full"]
        assert method_colour("mine", ["full", "mine"]) not in METHOD_COLOURS.values()
        assert method_colour("mine", ["yours", "mine"]) != method_colour("yours", ["yours", "mine"])

    def test_nothing_scored_is_an_error_and_no_empty_figure(self, finished):
        table = results.table_per_au([finished.full])
        with pytest.raises(ValueError, match="no AU labels"):
            plots.draw_per_au(table.assign(f1=np.nan))


class TestFaces:
    def test_the_strongest_faces_of_an_au_come_first(self, finished, tmp_path):
        table = predict.predict(finished.full, finished.target, tmp_path / "out.csv")
        table["AU12_p"], table["AU26_p"] = np.arange(24) / 100, np.arange(24)[::-1] / 50
        table.to_csv(tmp_path / "told.csv", index=False)
        figure = plots.draw_strongest_faces(tmp_path / "told.csv", finished.target, 3, ["AU12", "AU26"])
        shown = [text for text in texts(figure) if text[0].isdigit()]
        assert shown == ["0.23", "0.22", "0.21", "0.46", "0.44", "0.42"]

    def test_pictures_without_a_face_are_passed_over(self, finished, tmp_path):
        table = predict.predict(finished.full, finished.target, tmp_path / "out.csv")
        table.loc[5:, "status"] = "no face found"
        table.to_csv(tmp_path / "few.csv", index=False)
        figure = plots.draw_strongest_faces(tmp_path / "few.csv", finished.target, aus=["AU12"])
        assert len(figure.axes) == 5
        table.assign(status="no face found").to_csv(tmp_path / "none.csv", index=False)
        with pytest.raises(ValueError, match="0 faces"):
            plots.draw_strongest_faces(tmp_path / "none.csv", finished.target)

    def test_the_worst_face_is_the_one_with_the_largest_loss(self, finished):
        table = pd.read_csv(finished.full / "predictions_target_test.csv")
        losses = []
        for _, face in table.iterrows():
            p = np.array([face[f"{au}_p"] for au in TINY_AUS])
            y = np.array([face[f"{au}_true"] for au in TINY_AUS])
            losses.append(-np.log(np.where(y == 1, p, 1 - p)).mean())
        order = results.faces_by_loss(finished.full)["image"].tolist()
        assert order == table["image"].iloc[np.argsort(losses, kind="stable")].tolist()

    def test_missed_and_wrong_aus_are_told_apart(self):
        table = pd.DataFrame({"AU01_true": [1, 0, 1], "AU01_c": [0, 1, 1]})
        assert [faces_module.mistakes(face, ["AU01"]) for _, face in table.iterrows()] == [
            "-1", "+1", "all right",
        ]  # fmt: skip

    def test_a_target_without_labels_has_no_best_face(self, finished, tmp_path):
        run = shutil.copytree(finished.full, tmp_path / "run")
        file = run / "predictions_target_test.csv"
        table = pd.read_csv(file)
        table.assign(**{f"{au}_true": np.nan for au in TINY_AUS}).to_csv(file, index=False)
        with pytest.raises(ValueError, match="no AU labels"):
            best_and_worst(run)

    def test_some_faces_depend_on_the_seed_alone(self, domains):
        first, again, other = (label_statistics.some_faces(domains["target"], 5, seed) for seed in (0, 0, 1))
        assert first["names"] == again["names"] != other["names"]
        np.testing.assert_array_equal(first["images"], again["images"])
        assert first["images"].shape[0] == 5 and np.isfinite(first["landmarks"]).all()


class TestInsides:
    def test_a_perfect_decoder_gives_the_face_its_own_light_back(self):
        model = tiny_model("full").eval()
        faces = torch.rand(3, 3, 32, 32) * 0.4 + 0.2
        model.decoder = torch.nn.Identity()
        grey = decoding.decode(model, model.standardise(faces), faces)
        np.testing.assert_allclose(grey, decoding.shown_input(model, faces), atol=1e-5)

    def test_in_colour_as_well(self):
        model = tiny_model("source-only", colour="rgb").eval()
        faces = torch.rand(2, 3, 32, 32) * 0.4 + 0.2
        model.decoder = torch.nn.Identity()
        shown = decoding.decode(model, model.standardise(faces), faces)
        np.testing.assert_allclose(shown, faces.permute(0, 2, 3, 1).numpy(), atol=1e-5)

    def test_an_au_the_run_does_not_know_is_refused(self, finished):
        with pytest.raises(ValueError, match="AU43"):
            attention(finished.full, ["AU43"])
        with pytest.raises(ValueError, match="AU43"):
            plots.draw_first_screen(*read_kept_faces(finished.full), au="AU43")

    def test_the_first_screen_tells_right_from_wrong(self, drawn, finished):
        kept = Run(finished.full).samples("target")
        present = np.nan_to_num(kept.occurrence) == 1
        first = int(present.sum(1).argmax())  # then what adds most to it
        rest = (present / np.where(present[first], 4, 1)).sum(1)
        rest[first] = -1
        places = [first, int(rest.argmax())]
        table = pd.read_csv(finished.full / "predictions_target_test.csv").set_index("image")
        signs = {"✓": 0, "✗": 0, "–": 0}
        colours = {}
        for axis in drawn["first_screen"].axes:
            for text in axis.texts:
                if told := re.fullmatch(r"(.) AU\d\d \d\.\d\d", text.get_text()):
                    signs[told[1]] += 1
                    colours.setdefault(told[1], set()).add(to_hex(text.get_color()))
        hit = wrong = missed = 0
        for place in places:
            face = table.loc[kept.names[place]]
            for au in TINY_AUS:
                found, there = face[f"{au}_c"] == 1, face[f"{au}_true"] == 1
                hit, wrong, missed = (
                    hit + (found and there),
                    wrong + (found and not there),
                    missed + (there and not found),
                )
        assert list(signs.values()) == [hit, wrong, missed] and hit + wrong + missed
        assert all(len(own) == 1 for own in colours.values())

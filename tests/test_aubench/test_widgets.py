"""The instruments without a browser: tests set what a browser would send."""

import io
import json
import os
import re
import shutil
import tempfile
import threading
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import aulib
from aubench.datasets.face_finding import OK, FoundFace
from aubench.inspection.playground import Controls, evidence_strength, read_crop, render
from aubench.inspection.side_by_side import finished_below
from aubench.study.notebook_runner import APP_FOLDERS
from aubench.widgets import (
    AUPlayground,
    PhotographReader,
    RunBrowser,
    SwapExplorer,
    au_playground,
    drawing,
    face_picker,
    photograph_reader,
)
from aubench.widgets.drawing import bars
from aubench.widgets.face_picker import FOLDER, PHOTOGRAPH
from aubench.widgets.newest import NewestWins
from aubench.widgets.states import message, opened
from aubench.widgets.swap_explorer import typeset
from aufaces.actions import AUS
from aulib.crops import crop_face, crop_matrix, crop_of
from aulib.run import FILES, SAMPLES, WEIGHTS, Run

WAIT_S = 60


def probability_shown(html: str, au: str) -> float:
    return float(re.search(rf'data-au="{au}" role="meter".*?aria-valuenow="([\d.]+)"', html)[1])


def upload(instrument, name: str, content: bytes) -> None:
    """Choose a file, as a browser would, and wait until the instrument has read it."""
    about = {"name": name, "type": "image/png", "size": len(content), "last_modified": datetime.now()}
    instrument.upload.value = ({**about, "content": memoryview(content)},)
    assert instrument.newest.wait(WAIT_S)


def png_bytes(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def crop_of_rendered_face(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Crop and matrix of a face that no detector had to find."""
    picture, landmarks = render(Controls(), 256)
    spec = crop_of(run.config)
    matrix = crop_matrix(landmarks, spec)
    return crop_face(Image.fromarray(picture), matrix, spec), matrix


@pytest.fixture(scope="module")
def playground(finished, tmp_path_factory):
    return AUPlayground(finished.full, tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def browser(finished):
    return RunBrowser(finished.full.parent)


class TestNewestWins:
    def test_the_newest_is_answered_and_overtaken_ones_are_not(self):
        go, answered = threading.Event(), []

        def work(request):
            go.wait(WAIT_S)
            return request

        newest = NewestWins(work, answered.append, pytest.fail)
        for request in range(50):
            newest.ask(request)  # returns although nothing is answered yet
        assert not newest.wait(0)
        go.set()
        assert newest.wait(WAIT_S)
        assert answered == [0, 49]

    def test_after_a_failure_the_next_request_is_answered(self):
        answered, failures = [], []
        newest = NewestWins(lambda request: 1 / request, answered.append, failures.append)
        for request in (0, 2):
            newest.ask(request)
            assert newest.wait(WAIT_S)
        assert answered == [0.5] and isinstance(failures[0], ZeroDivisionError)

    def test_a_request_made_while_showing_is_waited_for(self):
        answered = []

        def show(answer):
            answered.append(answer)
            if answer < 3:
                newest.ask(answer + 1)

        newest = NewestWins(lambda request: request, show, pytest.fail)
        newest.ask(0)
        assert newest.wait(WAIT_S) and answered == [0, 1, 2, 3]


class TestBars:
    def test_a_bar_carries_its_number_for_readers_and_eyes(self):
        html = bars({"AU12": 0.834}, {"AU12": True})
        assert probability_shown(html, "AU12") == 0.834
        assert "width:83.4%" in html and ">0.83<" in html

    @pytest.mark.parametrize(
        ("occurs", "probability", "word"),
        [(True, 0.5, "seen"), (True, 0.49, "missed"), (False, 0.5, "false alarm"), (False, 0.49, "")],
    )
    def test_a_word_says_what_a_bar_means(self, occurs, probability, word):
        html = bars({"AU12": probability}, {"AU12": occurs})
        assert re.search('class="verdict">(.*?)<', html)[1] == word

    def test_rows_keep_their_order_and_an_unknown_au_has_no_bar(self):
        html = bars({"AU12": 0.1}, aus=["AU06", "AU12"])
        assert re.findall('data-au="(.*?)"', html) == ["AU06", "AU12"] and html.count('role="meter"') == 1


class TestDrawing:
    def test_landmarks_land_on_the_pixels_they_name(self):
        drawn = drawing.with_landmarks(np.zeros((10, 10, 3), np.uint8), np.array([[7.0, 2.0]]), side=100)
        blue = np.asarray(drawn)[..., 2] > 200
        y, x = (places.mean() for places in np.nonzero(blue))
        assert x == pytest.approx(74.5, abs=1) and y == pytest.approx(24.5, abs=1)  # ten pixels a pixel

    def test_evidence_colours_where_it_is_strong_and_leaves_grey_where_it_is_none(self):
        strength = np.zeros((4, 4))
        strength[0, 0] = 1
        drawn = np.asarray(drawing.with_evidence(np.full((8, 8, 3), 90, np.uint8), strength, side=64)).astype(
            int
        )
        assert np.ptp(drawn[4, 4]) > 50 and np.ptp(drawn[-4, -4]) == 0

    def test_a_map_runs_from_dark_to_bright(self):
        drawn = np.asarray(drawing.heat(np.array([[0.0, 1.0], [2.0, 3.0]]), 20)).sum(-1)
        assert drawn[5, 5] < drawn[5, 15] < drawn[15, 5] < drawn[15, 15]


class TestStates:
    def test_without_a_run_it_names_the_command_and_the_runs_nearby(self, finished, tmp_path):
        shutil.copytree(finished.full, tmp_path / "there")
        run, state = opened(tmp_path / "missing")
        assert run is None and f"aulib run 02_train -p method full --out {tmp_path / 'missing'}" in state
        assert str(tmp_path / "there") in state

    @pytest.mark.parametrize("name", FILES)
    def test_a_half_written_run_is_no_run_and_the_missing_file_is_named(self, name, finished, tmp_path):
        half = shutil.copytree(finished.full, tmp_path / "half")
        (half / name).unlink()
        run, state = opened(half)
        assert run is None and f"There is no finished run in {half}: {name} is missing." in state
        assert "No runs yet" in RunBrowser(half).state.value

    @pytest.mark.parametrize("name", [WEIGHTS, SAMPLES])
    def test_a_damaged_run_gives_a_message_instead_of_a_traceback(self, name, finished, tmp_path):
        broken = shutil.copytree(finished.full, tmp_path / "broken")
        (broken / name).write_bytes(b"nothing")
        run, state = opened(broken)
        assert run is None and str(broken) in state and "--force" in state

    def test_markup_in_a_message_is_escaped(self):
        assert "<img" not in message("<img src=x>", "<img src=x>", "<img src=x>")


class TestAUPlayground:
    def test_a_slider_changes_picture_evidence_and_bars(self, playground):
        before = playground.face.value, playground.seen.value, playground.bars.value
        playground.sliders["AU26"].value = 4
        assert playground.newest.wait(WAIT_S)
        after = playground.face.value, playground.seen.value, playground.bars.value
        assert all(new != old for new, old in zip(after, before, strict=True))
        assert playground.moved_last == "AU26"

    def test_bars_show_the_run_s_probabilities(self, playground):
        playground.newest.wait(WAIT_S)
        for au, value in playground.played.reading.probability.items():
            assert probability_shown(playground.bars.value, au) == pytest.approx(value, abs=1e-4)

    def test_controls_set_at_once_are_what_is_shown(self, playground):
        followed = playground.moved_last
        playground.set_controls(intensity=(0.0,) * 15 + (3.0,), yaw=10.0, domain="wild", seed=4)
        assert playground.newest.wait(WAIT_S)
        expected = render(Controls((0.0,) * 15 + (3.0,), yaw=10.0, domain="wild", seed=4))[0]
        assert np.array_equal(playground.played.picture, expected)
        assert playground.moved_last == followed

    def test_an_unknown_control_is_named(self, playground):
        with pytest.raises(ValueError, match="beard"):
            playground.set_controls(beard=1)

    def test_a_face_drawn_from_a_domain_is_clipped_to_the_sliders(self, playground):
        playground.set_controls(domain="wild", seed=8)
        playground.draw.click()
        assert playground.newest.wait(WAIT_S)
        assert "full did not learn the AUs" in playground.state.value  # after two steps
        assert any(slider.value for slider in playground.sliders.values())
        playground.neutral.click()
        assert not any(slider.value for slider in playground.sliders.values())

    def test_a_kept_face_has_its_picture_and_numbers(self, playground):
        playground.set_controls(domain="studio", intensity=(0.0,) * len(AUS))
        playground.sliders["AU12"].value = 3
        playground.newest.wait(WAIT_S)
        playground.keep.click()
        file = sorted(playground.out_dir.glob("face-*.json"))[-1]
        record = json.loads(file.read_text())
        assert record["controls"]["intensity"][AUS.index("AU12")] == 3
        assert set(record["probability"]) == set(playground.run.aus)
        with Image.open(file.with_suffix(".png")) as picture:
            assert np.array_equal(np.asarray(picture), playground.played.picture)

    def test_no_kept_face_is_overwritten_once_another_was_deleted(self, playground):
        for _ in range(2):
            playground.keep.click()
        first, *_, last = sorted(playground.out_dir.glob("face-*.json"))
        first.unlink()
        last.write_text("{}")
        playground.keep.click()
        assert last.read_text() == "{}"

    def test_the_message_of_a_failure_goes_with_the_next_answer(self, playground, monkeypatch):
        def broken(*arguments):
            raise RuntimeError("no light")

        with monkeypatch.context() as patch:
            patch.setattr(au_playground, "render_and_read", broken)
            playground.sliders["AU01"].value = 1
            assert playground.newest.wait(WAIT_S)
            assert "no light" in playground.state.value
        playground.sliders["AU01"].value = 2
        assert playground.newest.wait(WAIT_S)
        assert "no light" not in playground.state.value

    @pytest.mark.parametrize("lacking", [None, WEIGHTS, SAMPLES])
    def test_without_a_finished_run_the_face_still_moves(self, lacking, finished, tmp_path):
        folder = tmp_path / "none"
        if lacking:
            (shutil.copytree(finished.full, folder) / lacking).unlink()
        playground = AUPlayground(folder, tmp_path)
        assert "aulib run 02_train" in playground.state.value
        before = playground.face.value
        playground.sliders["AU12"].value = 5
        assert playground.newest.wait(WAIT_S)
        assert playground.face.value != before and playground.bars.value == ""
        assert playground.face.layout.display is None and playground.seen.layout.display == "none"


@pytest.fixture
def reader(finished):
    return PhotographReader(finished.full)


class TestPhotographReader:
    def test_without_a_run_nothing_can_be_uploaded(self, tmp_path):
        reader = PhotographReader(tmp_path / "none")
        assert reader.upload.disabled and "aulib run 02_train" in reader.state.value

    def test_a_file_that_is_no_picture_is_named(self, reader):
        upload(reader, "notes.jpg", b"not a picture")
        assert "notes.jpg" in reader.state.value and "/upload" not in reader.state.value
        assert reader.row.layout.display == "none"

    def test_an_upload_is_limited_in_bytes_and_in_pixels(self, reader, monkeypatch):
        stream = io.BytesIO()
        Image.new("1", (20_000, 10_000)).save(stream, "PNG")  # 25 kB that unpack to 600 MB
        upload(reader, "bomb.png", stream.getvalue())
        assert "bomb.png" in reader.state.value and "limit of" in reader.state.value
        monkeypatch.setattr(photograph_reader, "LARGEST", 2**20)
        upload(reader, "long.png", bytes(2**21))
        assert "long.png has 2 MiB, expected at most 1" in reader.state.value

    @pytest.mark.parametrize(
        "name",
        ["../../up.png", "/etc/up.png", "a\0b.png", "x." + "y" * 300, "", "a/..", "a.p\0ng", "x.\ud800"],
    )
    def test_the_name_of_an_upload_is_no_path(self, name, reader, tmp_path, monkeypatch):
        (tmp_path / "temporary").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
        upload(reader, name, b"not a picture")
        assert "cannot be used" in reader.state.value
        assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]

    def test_pictures_of_the_camera_are_read_one_by_one_while_it_is_on(self, reader, monkeypatch):
        face, asked = FoundFace("me.png", OK, "", *crop_of_rendered_face(reader.run)), []
        monkeypatch.setattr(photograph_reader, "find_face", lambda *picture: face)
        monkeypatch.setattr(reader.camera, "send", asked.append)
        picture = memoryview(png_bytes(render(Controls(), 256)[0]))
        for on, answers in ((True, 1), (True, 2), (False, 2)):
            reader.live.value = on
            reader.camera._handle_custom_msg({}, [picture])
            assert reader.newest.wait(WAIT_S) and len(asked) == answers
        assert probability_shown(reader.bars.value, "AU12") >= 0
        reader.live.value = True
        reader.camera._handle_custom_msg({"fault": "Permission denied"}, [])
        assert not reader.live.value and "Permission denied" in reader.state.value
        reader.live.value = True
        assert "Permission" not in reader.state.value
        upload(reader, "me.png", bytes(picture))  # in place of the camera
        assert not reader.live.value and len(asked) == 2

    def test_aus_that_do_not_work_on_photographs_are_not_shown(self):
        pytest.importorskip("onnxruntime", reason="the faces extra is not installed")
        reader = PhotographReader(aulib.pretrained().path)
        face = Path(__file__).parents[2] / "docs/london/images/107_smiling.jpg"
        upload(reader, face.name, face.read_bytes())
        assert "AU12" in reader.bars.value and "AU17" not in reader.bars.value
        assert "AU17" not in reader.followed.options

    def test_without_a_face_no_bars_are_shown(self, reader):
        pytest.importorskip("onnxruntime", reason="the faces extra is not installed")
        upload(reader, "wall.png", png_bytes(np.full((120, 160, 3), 128, np.uint8)))
        assert "wall.png" in reader.state.value and reader.bars.value == ""
        upload(reader, "cap.png", png_bytes(np.full((120, 160, 3), 2, np.uint8)))
        assert "No face found" in reader.state.value and "nearly black" in reader.state.value

    def test_a_face_gets_landmarks_and_bars(self, reader):
        pytest.importorskip("onnxruntime", reason="the faces extra is not installed")
        upload(reader, "rendered.png", png_bytes(render(Controls(), 256)[0]))
        assert reader.picture.value and probability_shown(reader.bars.value, "AU12") >= 0

    def test_each_au_has_its_map_and_the_picture_is_read_once(self, reader, monkeypatch):
        face = FoundFace("me.png", OK, "", *crop_of_rendered_face(reader.run))
        found = [face]
        monkeypatch.setattr(photograph_reader, "find_face", lambda *picture: found.pop())
        upload(reader, "me.png", png_bytes(render(Controls(), 256)[0]))
        probability = {au: probability_shown(reader.bars.value, au) for au in reader.run.aus}
        assert f"evidence for {max(probability, key=probability.get)}" in reader.caption.value
        maps = {}
        for au in reader.run.aus:
            reader.followed.value = au
            assert reader.newest.wait(WAIT_S) and f"evidence for {au}" in reader.caption.value
            reading = read_crop(reader.run, face.crop, reader.run.settings["read_target_from"])
            strength = evidence_strength(reader.run, reading, au)
            assert reader.seen.value == drawing.jpeg(drawing.with_evidence(reading.crop, strength, 240))
            maps[au] = reader.seen.value
        assert len(set(maps.values())) == len(maps)


class TestSwapExplorer:
    @pytest.fixture
    def explorer(self, finished):
        return SwapExplorer(finished.full, finished.target.as_posix())

    def test_both_faces_and_every_supervisor_are_shown(self, explorer):
        assert explorer.shown.value.count("<figure>") == 16
        assert explorer.shown.value.count("<i>68 × 8 × 8</i>") == 4  # S and its second reading, of both faces
        assert all(name in explorer.shown.value for name in explorer.swap.alignment["supervisor"])

    def test_a_face_of_a_dataset_folder_is_the_crop_that_training_would_cut(self, explorer, finished):
        from aulib.crops import crop_dataset
        from aulib.dataset import read_dataset

        explorer.target.origin.value = FOLDER
        explorer.target.number.value = 5
        assert explorer.target.newest.wait(WAIT_S)
        crops = crop_dataset(
            read_dataset(finished.target), crop_of(explorer.run.model.config), progress=False
        )
        assert np.array_equal(explorer.target.crop, crops.images[5])

    def test_a_missing_folder_is_named(self, explorer):
        explorer.source.folder.value = "nowhere"
        explorer.source.origin.value = FOLDER
        assert explorer.source.newest.wait(WAIT_S)
        assert "nowhere" in explorer.source.said.value and explorer.source.crop is None

    def test_a_slow_folder_neither_blocks_nor_replaces_a_later_choice(self, explorer, monkeypatch):
        ready, kept, read = threading.Event(), explorer.target.crop, face_picker._dataset
        monkeypatch.setattr(face_picker, "_dataset", lambda folder: ready.wait(WAIT_S) and read(folder))
        explorer.target.origin.value = FOLDER  # returns though the folder is not read yet
        assert explorer.target.crop is kept
        explorer.target.origin.value = "the run's target faces"
        ready.set()
        assert explorer.target.newest.wait(WAIT_S)
        assert np.array_equal(explorer.target.crop, kept) and "kept" in explorer.target.said.value

    def test_an_uploaded_face_is_swapped_and_a_bad_file_is_named(self, explorer, monkeypatch):
        pytest.importorskip("onnxruntime", reason="the faces extra is not installed")
        explorer.source.origin.value = PHOTOGRAPH
        upload(explorer.source, "a.jpg", b"nothing")
        assert "a.jpg" in explorer.source.said.value and explorer.shown.value == ""
        face = png_bytes(render(Controls(), 256)[0])
        upload(explorer.source, "<me>.png", face)
        assert explorer.newest.wait(WAIT_S)
        assert "&lt;me&gt;.png" in explorer.source.said.value and "<figure>" in explorer.shown.value

    def test_a_method_without_separation_is_named(self, finished):
        explorer = SwapExplorer(finished.source_only)
        assert "source-only" in explorer.state.value and explorer.swap is None

    @pytest.mark.slow
    def test_a_fitted_decoder_replaces_the_run_s_own(self, finished, tmp_path):
        run = shutil.copytree(finished.full, tmp_path / "run")
        explorer = SwapExplorer(run)
        before = explorer.shown.value
        assert not explorer.swap.fitted and explorer.fitting.layout.display is None
        explorer.fitting.button.click()
        assert explorer.fitting.newest.wait(WAIT_S) and explorer.newest.wait(WAIT_S)
        assert explorer.swap.fitted and explorer.fitting.layout.display == "none"
        assert explorer.shown.value != before
        assert SwapExplorer(run).fitting.layout.display == "none"

    def test_a_decoder_without_faces_names_the_folder_and_keeps_the_button(self, finished, tmp_path):
        run = shutil.copytree(finished.full, tmp_path / "run")
        config = json.loads((run / "config.json").read_text())
        config["settings"]["source"] = str(tmp_path / "gone")
        (run / "config.json").write_text(json.dumps(config))
        explorer = SwapExplorer(run)
        explorer.fitting.button.click()
        assert explorer.fitting.newest.wait(WAIT_S)
        assert "gone" in explorer.fitting.said.value and not explorer.fitting.button.disabled

    def test_symbols_are_set_with_tilde_and_hat(self):
        assert typeset("F~^t, F^^s, S^t") == "F\u0303<sup>t</sup>, F\u0302<sup>s</sup>, S<sup>t</sup>"


class TestRunBrowser:
    def test_without_runs_a_command_is_shown(self, tmp_path):
        assert "aulib run 02_train" in RunBrowser(tmp_path).state.value

    def test_a_run_that_cannot_be_read_is_said(self, finished, tmp_path):
        run = shutil.copytree(finished.full, tmp_path / "runs/full")
        saved = json.loads((run / "config.json").read_text())
        saved["settings"]["intensity_curves"] = []
        (run / "config.json").write_text(json.dumps(saved))
        assert "earlier version" in RunBrowser(tmp_path / "runs").state.value

    def test_runs_are_compared_as_soon_as_they_are_found(self, browser, finished):
        assert list(browser.chosen.value) == finished_below(finished.full.parent)
        assert "source-only, seed 0" in browser.table.value
        assert all(image.value[:4] == b"\x89PNG" for image in browser.figures.values())

    def test_scores_and_curves_are_offered_in_words(self, browser):
        curves = [words for words, _ in browser.curve.options]
        assert "share of the gradient: AUs, labelled faces" in curves
        assert "landmarks from texture Z, target (NME)" in curves
        assert not [words for words in curves if "." in words or "_" in words]
        assert [words for words, _ in browser.measure.options] == ["F1", "AUC", "skew-normalised F1"]
        assert "<th>NME</th>" in browser.table.value

    def test_a_single_run_has_no_differences_but_the_rest(self, browser, finished):
        browser.chosen.value = (finished.full.as_posix(),)
        assert browser.newest.wait(WAIT_S)
        assert "differences" in browser.state.value
        assert browser.figures["differences"].layout.display == "none" and browser.figures["faces"].value

    def test_without_a_selected_run_nothing_is_shown(self, browser):
        browser.chosen.value = ()
        assert browser.state.value and browser.table.value == ""


class TestFoldersInTheApp:
    """Whoever has the token reads what the app was started with, and nothing else."""

    @pytest.fixture(autouse=True)
    def started(self, finished, monkeypatch):
        monkeypatch.setenv(APP_FOLDERS, f"{finished.full}{os.pathsep}{finished.target}")

    def test_a_folder_typed_into_the_swap_explorer(self, finished):
        picker = SwapExplorer(finished.full, str(finished.target)).source
        picker.origin.value = FOLDER
        for folder in (finished.target, finished.source, f"{finished.target}/../source", finished.target):
            picker.folder.value = str(folder)
            assert picker.newest.wait(WAIT_S)
            assert (picker.crop is not None) == (folder == finished.target)
            assert picker.crop is not None or "started with" in picker.said.value

    def test_a_folder_typed_into_the_run_browser(self, finished):
        browser = RunBrowser(finished.full)
        assert len(browser.chosen.options) == 1
        browser.folder.value = str(finished.full.parent)
        assert not browser.chosen.options and "started with" in browser.state.value

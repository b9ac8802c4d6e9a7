"""A run folder: what is written is what is read; unfinished and outdated runs are refused."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from aubench.inspection.playground import open_run
from aulib.methods import METHODS
from aulib.run import CONFIG, METRICS, WEIGHTS, NoFinishedRun, Run, save_model
from tiny import SIZE, tiny_model

SETTINGS = {
    "method": "full", "seed": 0, "steps": 2, "weights": {"au_source": 1.0}, "data_versions": {},
    "read_target_from": "reconstruction",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    save_model(tmp_path, tiny_model(), SETTINGS)
    (tmp_path / METRICS).write_text(json.dumps({"target.mean.f1": None, "seconds": 1.5}))
    return tmp_path


def change_config(folder, change) -> None:
    saved = json.loads((folder / CONFIG).read_text())
    change(saved)
    (folder / CONFIG).write_text(json.dumps(saved))


@pytest.mark.parametrize("method", METHODS)
def test_the_model_gives_the_same_logits_after_saving(method, tmp_path):
    model = tiny_model(method).eval()
    save_model(tmp_path, model, SETTINGS)
    run = Run(tmp_path)
    image = torch.rand(2, 3, SIZE, SIZE)
    read_from = METHODS[method].read_target_from
    logits = [some.read(image, read_from)["au_logits"] for some in (run.model, model)]
    assert torch.equal(*logits)
    assert run.model.config == run.config == model.config and run.settings == SETTINGS
    assert not run.model.training


class TestHandedOn:
    def test_reads_the_same_from_another_folder(self, folder, tmp_path_factory):
        there = tmp_path_factory.mktemp("hub") / "mine"
        Run(folder).save_pretrained(there)
        run = Run.from_pretrained(there)
        weights = Run(folder).model.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in run.model.state_dict().items())
        assert run.settings == SETTINGS and run.metrics["seconds"] == 1.5
        assert (there / CONFIG).read_bytes() == (folder / CONFIG).read_bytes()
        assert "aulib" in (there / "README.md").read_text()

    def test_takes_the_run_s_own_card_along(self, folder, tmp_path_factory):
        (folder / "README.md").write_text("what it is not for")
        there = tmp_path_factory.mktemp("hub") / "mine"
        Run(folder).save_pretrained(there)
        assert (there / "README.md").read_text() == "what it is not for"

    def test_overwrites_nothing(self, folder, tmp_path_factory):
        there = tmp_path_factory.mktemp("hub")
        (there / CONFIG).write_text("mine")
        for used in (there, folder):
            with pytest.raises(FileExistsError, match="is not empty, expected a new folder"):
                Run(folder).save_pretrained(used)
        assert (there / CONFIG).read_text() == "mine" and Run(folder).settings == SETTINGS

    def test_a_folder_that_is_no_run_is_refused(self, tmp_path):
        with pytest.raises(NoFinishedRun, match=f"{CONFIG} is missing"):
            Run.from_pretrained(tmp_path)


def test_memory_layout_does_not_matter(tmp_path):
    model = tiny_model().to(memory_format=torch.channels_last)
    save_model(tmp_path, model, SETTINGS)
    loaded = Run(tmp_path).model.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in model.state_dict().items())


def test_a_timm_backbone_needs_no_download(tmp_path):
    save_model(tmp_path, tiny_model("source-only", backbone="resnet10t"), SETTINGS)
    assert Run(tmp_path).model.config.backbone == "resnet10t"


def test_a_config_of_an_earlier_version_is_read(folder):
    change_config(folder, lambda saved: saved["model"].update(pretrained=False))
    assert Run(folder).model.config.backbone == ""


def test_a_process_killed_while_saving_leaves_the_files_as_they_were(folder, monkeypatch):
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def killed(file, content):
        file.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        save_model(folder, tiny_model("multitask"), SETTINGS)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_null_metrics_are_nan(folder):
    metrics = Run(folder).metrics
    assert np.isnan(metrics["target.mean.f1"]) and metrics["seconds"] == 1.5


@pytest.mark.parametrize("value", ["[1, 2]", '{"a": 1}'])
def test_a_metric_that_is_no_value_is_named_with_its_file(value, folder):
    (folder / METRICS).write_text(f'{{"seconds": {value}}}')
    with pytest.raises(ValueError, match=f"{METRICS}: seconds is .*1"):
        Run(folder).metrics  # noqa: B018


@pytest.mark.parametrize(
    "missing, member",
    [(CONFIG, "settings"), (WEIGHTS, "model"), (METRICS, "metrics"), ("history.csv", "history")],
)
def test_an_unfinished_run_is_refused_with_the_missing_file(missing, member, folder):
    (folder / missing).unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError, match=f"{folder.name}.*{missing}"):
        getattr(Run(folder), member)


def test_a_run_from_before_fields_that_have_defaults_opens(folder):
    model = Run(folder).model

    def drop(saved):
        for name in ("queues", "smooth_crops"):  # added to ModelConfig after the first version
            del saved["model"][name]

    change_config(folder, drop)
    assert Run(folder).model.config == model.config


def rename_weights(folder):
    weights = load_file(folder / WEIGHTS)
    first = next(iter(weights))
    weights["old_name"] = weights.pop(first)
    save_file(weights, folder / WEIGHTS)


def resize_weights(folder):
    weights = load_file(folder / WEIGHTS)
    first = next(iter(weights))
    weights[first] = weights[first][None]
    save_file(weights, folder / WEIGHTS)


@pytest.mark.parametrize(
    "age, member",
    [
        (lambda folder: change_config(folder, lambda saved: saved.pop("settings")), "settings"),
        (lambda folder: change_config(folder, lambda saved: saved["settings"].pop("weights")), "settings"),
        (lambda folder: change_config(folder, lambda saved: saved["model"].update(pooling=1)), "model"),
        (lambda folder: change_config(folder, lambda saved: saved["model"].pop("aus")), "model"),
        (lambda folder: change_config(folder, lambda saved: saved.pop("model")), "model"),
        (rename_weights, "model"),
        (resize_weights, "model"),
    ],
)
def test_a_run_of_an_earlier_version_is_refused_in_one_line_with_the_command(age, member, folder):
    age(folder)
    with pytest.raises(ValueError, match="earlier version") as refused:
        getattr(Run(folder), member)
    assert f"aulib run 02_train -p method full --out {folder} --force" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_the_kept_faces_are_test_faces(finished):
    run = Run(finished.full)
    assert run.domains_with_samples == ["source", "target"]
    kept = run.samples("target")
    assert len(kept) == len(kept.names) == len(kept.landmarks) > 0
    test = pd.read_csv(finished.target / "manifest.csv").query("split == 'test'")
    assert set(kept.names) <= set(test["image"])
    assert set(run.predictions("target", samples_only=True)["image"]) == set(kept.names)


def test_open_run_opens_again_only_when_the_weights_changed(finished, tmp_path):
    folder = shutil.copytree(finished.source_only, tmp_path / "run")
    first = open_run(folder)
    assert open_run(folder) is first
    weights = folder / WEIGHTS
    os.utime(weights, ns=(0, weights.stat().st_mtime_ns + 1))
    assert open_run(folder) is not first


DAMAGE = {
    "git lfs pull": lambda d: b"version https://git-lfs.github.com/spec/v1",
    "copy it again": lambda d: d[: len(d) // 3],
    "an empty file": lambda d: b"",
}


@pytest.mark.parametrize("what", DAMAGE)
@pytest.mark.parametrize(
    "name, member",
    [
        (CONFIG, "settings"),
        (CONFIG, "config"),
        (WEIGHTS, "model"),
        (METRICS, "metrics"),
        ("samples.npz", "samples"),
    ],
)
def test_a_damaged_file_is_named_with_what_it_is(name, member, what, finished, tmp_path):
    folder = shutil.copytree(finished.full, tmp_path / "run")
    (folder / name).write_bytes(DAMAGE[what]((folder / name).read_bytes()))
    with pytest.raises(ValueError, match=f"{name}: expected .*{what}"):
        value = getattr(Run(folder), member)
        value()


@pytest.mark.parametrize("where, name, value", [
    ("model", "channels", "8"), ("model", "image_size", None), ("model", "aus", "AU01"),
    ("model", "separates", 1),
    ("model", "aus", ["AU99"]), ("model", "aus", []), ("model", "num_landmarks", 5),
    ("model", "image_size", 33), ("model", "margin_size", 8), ("model", "box_enlarge", 0.0),
    ("model", "image_size", -32),
    ("settings", "weights", None), ("settings", "method", 3), ("settings", "data_versions", []),
    ("settings", "intensity_curves", {"AU12": [0, 5]}), ("settings", "intensity_curves", []),
    ("settings", "side_weights", {"AU12": [[0.5, None]]}), ("settings", "side_weights", {"AU12": 1.0}),
    ("settings", "side_weights", {"AU12": [[1e300]]}),
    *(("settings", "intensity_curves", {"AU12": [*[0.0] * 23, *end]})
      for end in ([2, 1], [6, 6], [float("nan")] * 2, ["a", "b"], [[0], [1, 2]])),
    ("settings", "withheld", ["AU4"]), ("settings", "withheld", None), ("settings", "largest_entropy", "2,6"),
    ("settings", "read_target_from", "mirror"), ("settings", "read_source_from", ["both"]),
])  # fmt: skip
def test_a_value_of_another_type_is_named(where, name, value, folder):
    change_config(folder, lambda saved: saved[where].update({name: value}))
    said = "" if isinstance(value, int) and where == "model" else name  # torch knows no names
    with pytest.raises(ValueError, match=f"{CONFIG}.*{said}") as error:
        getattr(Run(folder), where)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [None, [], "text", 3])
@pytest.mark.parametrize("part", ["settings", "model"])
def test_a_part_of_another_type_is_of_an_earlier_version(part, value, folder):
    change_config(folder, lambda saved: saved.update({part: value}))
    with pytest.raises(ValueError, match="earlier version"):
        getattr(Run(folder), part)


def test_a_setting_that_is_missing_is_named_where_it_is_asked_for(folder):
    with pytest.raises(ValueError, match="earlier version .*no setting read_source_from"):
        Run(folder).settings["read_source_from"]
    assert Run(folder).settings.get("read_source_from") is None
    with pytest.raises(ValueError, match="earlier version .*no setting target"):
        Run(folder).settings["data_versions"]["target"]


@pytest.mark.parametrize("text", ["a pointer\nof something\n", "step,total\nstep,total\n0,1\n", "loss\n1\n"])
def test_a_history_of_something_else_is_named(text, folder):
    (folder / "history.csv").write_text(text)
    with pytest.raises(ValueError, match="history.csv: expected a table of losses by step"):
        _ = Run(folder).history


def test_weights_that_are_not_finite_read_no_face(folder):
    weights = load_file(folder / WEIGHTS)
    next(value for value in weights.values() if value.is_floating_point()).view(-1)[0] = float("nan")
    save_file(weights, folder / WEIGHTS)
    with pytest.raises(ValueError, match=f"{WEIGHTS}: 1 of .* not finite"):
        _ = Run(folder).model

"""A run's model on disk: what is written is what is read."""

import json
import shutil

import pytest
import torch

from aulib.methods import METHODS
from aulib.run import CONFIG, WEIGHTS, load_run, save_run
from tiny import SIZE, tiny_model

SETTINGS = {"method": "full", "read_target_from": "reconstruction", "weights": {"au_source": 1.0}}


@pytest.mark.parametrize("method", METHODS)
def test_a_model_reads_faces_alike_after_being_written_and_read(method, tmp_path):
    model = tiny_model(method).eval()
    save_run(tmp_path, model, SETTINGS)
    loaded, settings = load_run(tmp_path)
    image = torch.rand(2, 3, SIZE, SIZE)
    read_from = METHODS[method].read_target_from
    assert torch.equal(loaded.read(image, read_from)["au_logits"], model.read(image, read_from)["au_logits"])
    assert loaded.config == model.config and settings == SETTINGS and not loaded.training


def test_memory_layout_does_not_matter(tmp_path):
    model = tiny_model().to(memory_format=torch.channels_last)
    save_run(tmp_path, model, SETTINGS)
    loaded = load_run(tmp_path)[0].state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in model.state_dict().items())


def test_a_timm_backbone_needs_no_download_to_be_loaded(tmp_path):
    save_run(tmp_path, tiny_model("source-only", backbone="resnet10t"), SETTINGS)
    saved = json.loads((tmp_path / CONFIG).read_text())
    saved["model"]["pretrained"] = True  # as a run that started from pretrained weights would say
    (tmp_path / CONFIG).write_text(json.dumps(saved))
    assert load_run(tmp_path)[0].config.pretrained is False


def test_a_run_can_be_moved(tmp_path):
    (tmp_path / "here").mkdir()
    save_run(tmp_path / "here", tiny_model(), SETTINGS)
    shutil.move(tmp_path / "here", tmp_path / "there")
    load_run(str(tmp_path / "there"))


@pytest.mark.parametrize("missing", [CONFIG, WEIGHTS])
def test_an_unfinished_run_is_refused_with_the_file_it_lacks(missing, tmp_path):
    save_run(tmp_path, tiny_model(), SETTINGS)
    (tmp_path / missing).unlink()
    with pytest.raises(FileNotFoundError, match=f"{missing} is missing"):
        load_run(tmp_path)


def test_weights_of_another_model_are_refused(tmp_path):
    for name in ("source-only", "full"):
        (tmp_path / name).mkdir()
        save_run(tmp_path / name, tiny_model(name), SETTINGS)
    shutil.copy(tmp_path / "full" / WEIGHTS, tmp_path / "source-only" / WEIGHTS)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        load_run(tmp_path / "source-only")

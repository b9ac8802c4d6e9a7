"""The detector as an ONNX file agrees with torch, and its metadata describe the input."""

import builtins
import json

import numpy as np
import pytest
import torch

import aulib
from aubench.inference import onnx_export
from aulib.batches import centre_crop
from aulib.evaluate import LOG_ODDS
from aulib.run import Run


@pytest.fixture(scope="module")
def file(finished, tmp_path_factory):
    file = tmp_path_factory.mktemp("onnx") / "detector.onnx"
    onnx_export.export_onnx(finished.full, file)
    return file


@pytest.mark.slow
class TestExport:
    @pytest.mark.parametrize("batch", [1, 5])
    def test_agrees_with_torch_on_other_faces(self, finished, file, batch):
        import onnxruntime

        run = Run(finished.full)
        model, settings = run.model, run.settings
        size = model.config.image_size
        faces = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            expected = onnx_export.Detector(model, settings["read_target_from"])(faces)
        found = onnxruntime.InferenceSession(file).run(None, {"image": faces.numpy()})
        assert found[0].shape == (batch, len(model.config.aus))
        for name, mine, theirs in zip(onnx_export.TOLERANCE, found, expected, strict=True):
            np.testing.assert_allclose(mine, theirs.numpy(), rtol=0, atol=onnx_export.TOLERANCE[name])

    def test_metadata_describe_the_input(self, finished, file):
        import onnx

        config = Run(finished.full).config
        metadata = {prop.key: json.loads(prop.value) for prop in onnx.load(file).metadata_props}
        assert metadata["aus"] == list(config.aus) and metadata["image_size"] == config.image_size
        assert metadata["largest_entropy"] is None and metadata["intensity_curves"] == {}
        assert metadata["box_enlarge"] == config.box_enlarge * config.image_size / config.margin_size

    def test_a_program_without_torch_knows_faces_and_intensities(self, tmp_path):
        import onnx
        import onnxruntime

        run = Run(aulib.pretrained().path)
        onnx_export.export_onnx(run.path, tmp_path / "detector.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "detector.onnx")
        metadata = {p.key: json.loads(p.value) for p in onnx.load(tmp_path / "detector.onnx").metadata_props}
        size = metadata["image_size"]
        faces = centre_crop(run.samples("target").images, run.samples("target").landmarks, size)[0]
        entropy = [
            session.run(["map_entropy"], {"image": pictures.numpy()})[0]
            for pictures in (faces, torch.rand_like(faces))
        ]
        assert (entropy[0] <= metadata["largest_entropy"]).all()
        assert (entropy[1] > metadata["largest_entropy"]).all()
        assert metadata["intensity_curves"] == run.intensity_curves != {}
        assert metadata["log_odds"] == LOG_ODDS.tolist()

    def test_writes_nothing_where_the_answers_differ(self, finished, tmp_path, monkeypatch):
        monkeypatch.setattr(onnx_export, "TOLERANCE", onnx_export.TOLERANCE | {"probability": -1.0})
        with pytest.raises(ArithmeticError, match="detector.onnx"):
            onnx_export.export_onnx(finished.full, tmp_path / "detector.onnx")
        assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(finished, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **options):
        if name == "onnx":
            raise ImportError("No module named 'onnx'", name="onnx")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"onnx is missing: pip install 'aulib\[onnx\]'"):
        onnx_export.export_onnx(finished.full, tmp_path / "detector.onnx")

"""A run's detector as one ONNX file, for programs that have neither torch nor this library [C].

ONNX, since ONNX Runtime and OpenVINO both read it, on every system; what each gains is measured by
benchmarks/infer_vs_peers.py. Metadata in the file describe its input.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from aulib.batches import centre_crop
from aulib.evaluate import LOG_ODDS, map_entropy
from aulib.files import result_file
from aulib.model import AUModel, cells_to_pixels, expected_cells
from aulib.run import Run

# largest difference from torch; landmarks in pixels, entropy in nats
TOLERANCE = {"probability": 1e-4, "landmarks": 0.01, "map_entropy": 1e-3}


class Detector(nn.Module):
    """What a run does with a crop at test time.

    Args:
        read_from: as `AUModel.read`.
    """

    def __init__(self, model: AUModel, read_from: str):
        super().__init__()
        self.model, self.read_from = model, read_from

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, H, H) RGB in [0, 1] -> probability (B, A) in [0, 1], landmarks (B, K, 2) in its pixels, and
        how spread their maps are (B,), see `evaluate.map_entropy`.
        """
        outputs = self.model.read(image, self.read_from)
        shape = outputs["shape"]
        points = cells_to_pixels(expected_cells(shape), shape.shape[-1], self.model.config.image_size)
        return outputs["au_logits"].sigmoid(), points, map_entropy(shape)


def export_onnx(run: str | Path, file: str | Path, read_from: str | None = None) -> dict[str, float]:
    """Write a run's detector to `file` if ONNX Runtime and torch agree on faces that the run keeps.

    Its input is `image`, (batch, 3, H, H) float32 RGB in [0, 1] with any batch; its outputs are
    `probability`, `landmarks` and `map_entropy` (`Detector.forward`). Metadata, each as JSON: `aus`,
    `withheld` (`Run.withheld`), `largest_entropy` (above it the crop shows no face; null if the run does not
    say), `intensity_curves` and `log_odds` (`evaluate.intensity_of`), `image_size`, `num_landmarks`,
    `read_from`, and `box_enlarge`, how much wider than the face box a crop is (`crops.CropSpec`).

    Args:
        run: a finished run.
        read_from: None takes the run's own way of reading targets.

    Returns:
        the largest differences from torch, `probability`, `landmarks` (pixels) and `map_entropy` (nats).

    Raises:
        ImportError: the extra is not installed.  FileNotFoundError: no finished run.  ValueError: the run
            keeps no faces to check with.  ArithmeticError: the two differ by more than TOLERANCE; nothing is
            written.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  (torch's exporter wants it)
    except ImportError as error:
        raise ImportError(f"{error.name} is missing: pip install 'aulib[onnx]'") from None
    opened = Run(run)
    config, read_from = opened.config, read_from or opened.settings["read_target_from"]
    detector = Detector(opened.model, read_from).eval()
    samples = [opened.samples(domain) for domain in opened.domains_with_samples]
    if not samples:
        raise ValueError(f"{run} keeps no faces to check with: its sets had no test split")
    faces = [centre_crop(one.images, one.landmarks, config.image_size)[0] for one in samples]
    faces = torch.cat(faces)  # (B, 3, H, H)
    made = onnx_model(detector, config.image_size, list(TOLERANCE))
    metadata = {
        "aus": list(config.aus), "withheld": list(opened.withheld),
        "largest_entropy": opened.largest_entropy if np.isfinite(opened.largest_entropy) else None,
        "intensity_curves": opened.intensity_curves, "log_odds": LOG_ODDS.tolist(),
        "image_size": config.image_size, "num_landmarks": config.num_landmarks,
        "read_from": read_from, "box_enlarge": config.box_enlarge * config.image_size / config.margin_size,
    }  # fmt: skip
    onnx.helper.set_model_props(made, {name: json.dumps(value) for name, value in metadata.items()})
    content = made.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    answers = dict(zip(TOLERANCE, session.run(list(TOLERANCE), {"image": faces.numpy()}), strict=True))
    with torch.no_grad():
        expected = dict(zip(TOLERANCE, detector(faces), strict=True))
    apart = {name: float(np.abs(answers[name] - expected[name].numpy()).max()) for name in TOLERANCE}
    if too_far := {name: value for name, value in apart.items() if not value <= TOLERANCE[name]}:
        raise ArithmeticError(
            f"{file}: not written, ONNX Runtime and torch differ by {too_far}, expected at most {TOLERANCE}"
        )
    with result_file(file, "detector") as partial:
        partial.write_bytes(content)
    return apart


def onnx_model(module: nn.Module, image_size: int, outputs: list[str]):
    """`module` of one argument, `image` (batch, 3, H, H), as an onnx.ModelProto that takes any batch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about torch's internals
        program = torch.onnx.export(
            module, (torch.rand(2, 3, image_size, image_size),), dynamo=True, verbose=False,
            input_names=["image"], output_names=outputs, dynamic_shapes={"image": {0: "batch"}},
        )  # fmt: skip
    return program.model_proto

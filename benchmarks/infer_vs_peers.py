"""E and D_au compared with ADLD's target path and ME-GraphAU's ResNet-50, at batch 1 and 16.

    python benchmarks/infer_vs_peers.py ADLD MEGRAPHAU

Both arguments are checkouts (github.com/ZhiwenShao/ADLD, github.com/CVI-SZU/ME-GraphAU). All networks are
untrained, which does not change the time, and read the same random pictures of 176 px in turn. Ours is preset
`paper` in torch and, exported as by `aulib onnx`, in ONNX Runtime and OpenVINO (if installed); the fastest
counts. Writes benchmarks/results/infer_PEER_BATCH.json.
"""

import io
import statistics
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from peers import adld_target_path, megraphau_resnet50
from record import in_turn, parser_of, record
from torch import nn

from aubench.inference.onnx_export import onnx_model
from aulib.methods import PRESETS
from aulib.model import AUModel, ModelConfig
from aulib.networks import define_missing_operators
from aulib.protocols import PROTOCOLS

PACKAGES = ("torch", "onnxruntime", "openvino")  # behind what `runtimes` finds, in its order
TOLERANCE = 1e-4  # of probabilities, between torch and what it was exported to


class Detector(nn.Module):
    """E and D_au alone."""

    def __init__(self):
        super().__init__()
        paper = PRESETS["paper"]
        self.model = AUModel(
            ModelConfig(
                aus=PROTOCOLS["adld"].aus, num_landmarks=paper.num_landmarks, image_size=paper.image_size,
                margin_size=paper.margin_size, channels=paper.channels, colour=paper.colour,
            )
        )  # fmt: skip

    def forward(self, image):
        inputs = self.model.standardise(image)
        return self.model.au_head(self.model.encoder(inputs))[0].sigmoid()


def runtimes(detector: Detector, size: int, threads: int) -> dict:
    """Name -> function of a picture batch, each numerically equal to torch within TOLERANCE."""
    import onnxruntime

    buffer = io.BytesIO(onnx_model(detector, size, ["probability"]).SerializeToString())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(buffer.getvalue(), options, providers=["CPUExecutionProvider"])
    found = {"torch": detector, "ONNX Runtime": lambda image: session.run(None, {"image": image.numpy()})[0]}
    try:
        import openvino
    except ImportError:
        return found
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(buffer), "CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    )
    return found | {"OpenVINO": lambda image: compiled(image.numpy())[0]}


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("adld", type=Path)
    parser.add_argument("megraphau", type=Path)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--repeat", type=int, default=3, help="calls a turn, whose median counts")
    arguments = parser.parse_args()
    for checkout, file in ((arguments.adld, "network.py"), (arguments.megraphau, "model/MEFL.py")):
        if not (checkout / file).is_file():
            parser.error(f"{checkout} holds no {file}, expected a checkout of its code")
    define_missing_operators()
    torch.manual_seed(0)
    detector = Detector().eval().to(memory_format=torch.channels_last)
    size = detector.model.config.image_size
    ours = runtimes(detector, size, torch.get_num_threads())
    peers = {"adld": adld_target_path(arguments.adld), "megraphau": megraphau_resnet50(arguments.megraphau)}
    versions = {package: version(package) for package in PACKAGES[: len(ours)]}
    with torch.inference_mode():
        for batch in (1, 16):
            image = torch.rand(batch, 3, size, size)
            expected = detector(image).numpy()
            apart = {
                name: float(np.abs(np.asarray(run(image)) - expected).max()) for name, run in ours.items()
            }
            if max(apart.values()) > TOLERANCE:
                raise SystemExit(f"runtimes differ from torch by {apart}, expected at most {TOLERANCE}")
            sides = {name: lambda run=run, image=image: run(image) for name, run in (ours | peers).items()}
            seconds = in_turn(sides, arguments.turns, arguments.repeat)
            medians = {name: statistics.median(values) for name, values in seconds.items()}
            best = min(ours, key=medians.get)
            for peer in peers:
                turns = [theirs / own for theirs, own in zip(seconds[peer], seconds[best], strict=True)]
                record(
                    f"infer_{peer}_{batch}", medians[peer] / medians[best], turns, runtime=best,
                    faces_a_second={name: batch / value for name, value in medians.items()},
                    largest_difference_from_torch=apart, tolerance=TOLERANCE, versions=versions,
                )  # fmt: skip


if __name__ == "__main__":
    main()

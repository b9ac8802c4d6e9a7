"""Makes torchvision importable beside a CPU build of torch.

The torchvision wheel that package indexes serve by default is built for CUDA. Beside a CPU build of torch its
compiled operators do not load, and importing torchvision, timm or torchmetrics then fails on the missing
`torchvision::nms` (pytorch/vision issues 9077 and 9085). None of this library's computations use these
operators, so declaring them is enough.
"""

import importlib.util
from pathlib import Path

import torch

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[torch.library.Library] = []  # a declaration lives as long as its Library object


def define_missing_operators() -> list[str]:
    """Declare `torchvision::nms` and `torchvision::qnms` where they are missing.

    Call before the first import of torchvision, timm or torchmetrics; a second call does nothing. Where
    torchvision's own compiled operators load, they are used and nothing is declared.

    Returns:
        names of the operators declared by this call.
    """
    _load_compiled_operators()
    missing = [name for name in ("nms", "qnms") if not hasattr(torch.ops.torchvision, name)]
    if missing:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in missing:
            library.define(name + _SIGNATURE)
        _declared.append(library)
    return missing


def _load_compiled_operators() -> None:
    """Load torchvision's extension as its import would; declaring first would make that import fail."""
    package = importlib.util.find_spec("torchvision")
    if package is None or package.origin is None:
        return
    for extension in sorted(Path(package.origin).parent.glob("_C*")):
        if extension.suffix in (".so", ".pyd"):
            try:
                torch.ops.load_library(str(extension))
            except (ImportError, OSError):
                continue  # built for another torch: its operators are declared instead

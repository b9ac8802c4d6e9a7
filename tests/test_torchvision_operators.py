"""timm, torchvision and torchmetrics can be imported beside any build of torch."""

import subprocess
import sys

import pytest


def in_fresh_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("package", ["timm", "torchvision", "torchmetrics"])
def test_a_package_that_needs_the_operators_can_be_imported_after_them(package):
    in_fresh_python(
        "from aulib.torchvision_operators import define_missing_operators as define\n"
        f"define(); import {package}"
    )


def test_only_what_is_missing_is_defined_and_only_once():
    told = in_fresh_python(
        "import torch\n"
        "from aulib.torchvision_operators import define_missing_operators as define\n"
        "own = torch.library.Library('torchvision', 'FRAGMENT')\n"
        "own.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "print('nms' in define(), define(), hasattr(torch.ops.torchvision, 'qnms'))"
    )
    assert told.split() == ["False", "[]", "True"]

"""Networks of other authors, imported from a checkout that the user names.

Only what current Python or torch refuses, or a machine without GPU, is replaced while importing.
"""

import functools
import importlib
import importlib.abc
import importlib.util
import re
import sys
from contextlib import contextmanager
from pathlib import Path

REPLACED = (
    (r"print>> (\w+), (.+)", r"print(\2, file=\1)"),
    (r"(\w+)\.next\(\)", r"next(\1)"),
    (r"len\(land\) / 2", "len(land) // 2"),
    (r"(\w+)\.get_device\(\)", r"\1.device"),  # -1 without a GPU, where it then defines nothing
    (r"if dev >= 0:", "if True:"),
)


class Replacing(importlib.abc.SourceLoader):
    """Reads a module with REPLACED applied to its text."""

    def __init__(self, file: Path):
        self.file = file

    def get_filename(self, fullname: str) -> str:
        return str(self.file)

    def get_data(self, path: str) -> bytes:
        text = self.file.read_text(encoding="utf-8")
        for old, new in REPLACED:
            text = re.sub(old, new, text)
        return text.encode()


class Checkout(importlib.abc.MetaPathFinder):
    """Finds the modules that lie in a folder, before any of the same name elsewhere."""

    def __init__(self, folder: Path):
        self.folder = folder

    def find_spec(self, fullname, path=None, target=None):
        place = self.folder.joinpath(*fullname.split("."))
        if place.with_suffix(".py").is_file():
            return importlib.util.spec_from_loader(fullname, Replacing(place.with_suffix(".py")))
        if (place / "__init__.py").is_file():
            spec = importlib.util.spec_from_loader(
                fullname, Replacing(place / "__init__.py"), is_package=True
            )
            spec.submodule_search_locations = [str(place)]
            return spec
        return None


@contextmanager
def modules_of(checkout: Path):
    """Within it, imports look into the checkout first; its modules are forgotten afterwards."""
    finder, known = Checkout(checkout.resolve()), set(sys.modules)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in set(sys.modules) - known:
            if isinstance(getattr(sys.modules[name], "__loader__", None), Replacing):
                del sys.modules[name]


def adld_target_path(checkout: Path, aus: int = 6, landmarks: int = 49):
    """ADLD's networks as its evaluation of target faces calls them: (B, 3, 176, 176) -> (B, aus) logits."""
    with modules_of(checkout):
        network = importlib.import_module("network")
    base, land = network.Feat_Enc().eval(), network.Land_Detect(land_num=landmarks).eval()
    texture, generator = network.Texture_Enc().eval(), network.Generator().eval()
    detector = network.AU_Detect(au_num=aus).eval()

    def path(image):
        features = base(image)
        attention, _, _ = land(features)
        return detector(generator(attention, texture(features)))[1]

    return path


def megraphau_resnet50(checkout: Path, aus: int = 12):
    """ME-GraphAU's second stage on ResNet-50, untrained: (B, 3, H, H) -> logits of AUs, of their edges."""
    with modules_of(checkout):
        mefl = importlib.import_module("model.MEFL")
    mefl.resnet50 = functools.partial(mefl.resnet50, pretrained=False)  # whose weights it wants in a folder
    return mefl.MEFARG(aus, "resnet50").eval()

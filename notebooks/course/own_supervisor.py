"""A supervisor of one's own as a function: its source, which goes to the runs, and what a check finds out.

The function is `own(outputs, project, temperature) -> ()`. outputs: name -> feature (B, ., h, w) of both
rounds, the names of CARRIES. project: (projector, name) -> (B, D) of length 1. What it returns is minimised.
"""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from aulib.contrastive import Projections
from exercises import Verdict, exercise, right, wrong

KNOWN = "import torch\nimport torch.nn.functional as F\nfrom aulib.contrastive import info_nce\n"
FACES = 6  # of noise, that it is tried on
SAME = 1e-3  # nats; losses nearer than this are one

# whose shape and whose texture a feature of the model carries
CARRIES = {
    "rich_s": "Ss Zs", "rich_t": "St Zt", "self_s": "Ss Zs", "self_t": "St Zt", "rich2_s": "Ss Zs",
    "rich2_t": "St Zt", "swapped_t": "Ss Zt", "swapped_s": "St Zs", "shape_s": "Ss", "shape_t": "St",
    "shape2_s": "Ss", "shape2_t": "St", "texture_s": "Zs", "texture_t": "Zt", "texture2_s": "Zs",
    "texture2_t": "Zt",
}  # fmt: skip


def source_of(function: Callable) -> list[str]:
    """The lines of a function written in a cell or a file.

    Raises:
        TypeError, OSError: it is no function, or was not written in either.
    """
    return textwrap.dedent(inspect.getsource(function)).rstrip().splitlines()


def function_in(lines: list[str]) -> Callable:
    """The function that these lines define, knowing what KNOWN imports and nothing of a notebook."""
    names: dict = {}
    exec(KNOWN, names)
    before = set(names)
    exec(compile("\n".join(lines), "<own supervisor>", "exec"), names)
    return next(made for name, made in names.items() if name not in before and callable(made))


@dataclass(frozen=True)
class Tried:
    """What a function said of noise faces on an untrained model, nats.

    pull: how strongly it moves E.  agreed: loss where the second views are the first ones.  strangers: where
    one of the features read, no exchanged one, is another face's.  collapsed: where all faces are one.
    pair: the two features it reads first; turned: the loss with these exchanged (the same if it asks both
    ways).
    """

    loss: float
    pull: float
    agreed: float
    strangers: float
    collapsed: float
    pair: tuple[str, str]
    turned: float


class _Read(dict):
    """Features that remember which of them were looked at."""

    def __init__(self, features: dict):
        super().__init__(features)
        self.names: dict[str, None] = {}

    def __getitem__(self, name):
        self.names[name] = None
        return super().__getitem__(name)


def faces_of_noise():
    """An untrained model and its outputs of both rounds for FACES pairs of noise faces."""
    from aulib.model import AUModel, ModelConfig

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AUModel(ModelConfig(("AU12",), 68, image_size=32, margin_size=40, channels=8))
        return model, model(torch.rand(2 * FACES, 3, 32, 32), FACES, separate=True)


def tried(own: Callable, temperature: float = 0.1) -> Tried:
    """Try a function on noise.

    Raises:
        ValueError: what it returns is no finite number that depends on the features; says which.
    """
    model, outputs = faces_of_noise()

    def asked(features: dict[str, Tensor]) -> tuple[Tensor, list[str]]:
        read = _Read(features)
        return own(read, Projections(read, model.projectors), temperature), list(read.names)

    loss, names = asked(outputs)
    if not isinstance(loss, Tensor):
        raise ValueError(
            f"It returns a {type(loss).__name__}: a tensor is wanted, as only that has a gradient."
        )
    if loss.shape != ():
        raise ValueError(f"It returns shape {tuple(loss.shape)}: take the mean over faces, one number.")
    if not torch.isfinite(loss):
        raise ValueError(f"On noise its loss is {loss.item()}: not finite. A logarithm of 0, or a division?")
    names = [name for name in names if name in CARRIES]
    if len(names) < 2 or not loss.requires_grad:
        raise ValueError(
            "It does not depend on two features, so there is nothing to pull together. (`.detach()`, "
            "`.item()` and `torch.no_grad()` cut the gradient.)"
        )
    loss.backward(retain_graph=True)
    slopes = [weight.grad.norm() for weight in model.encoder.parameters() if weight.grad is not None]
    with torch.no_grad():
        still = {name: outputs[name].detach() for name in CARRIES}
        first = {"rich2": "rich", "self": "rich", "shape2": "shape", "texture2": "texture"}
        agreed = still | {f"{two}_{d}": still[f"{one}_{d}"] for two, one in first.items() for d in "st"}
        own_views = [name for name in names if not name.startswith("swapped")] or names
        mixed = [asked(agreed | {name: agreed[name].roll(1, 0)})[0].item() for name in own_views]
        kinds = {name: name.split("_")[0].rstrip("2") for name in CARRIES}
        point = {name: still[f"{kind}_s" if kind in ("shape", "texture") else "rich_s"].mean(0, keepdim=True)
                 for name, kind in kinds.items()}  # fmt: skip
        collapsed = {name: one.expand(FACES, -1, -1, -1) for name, one in point.items()}
        one, other = names[:2]
        exchanged = still | {one: still[other], other: still[one]}
        return Tried(
            loss.item(), float(sum(slopes)), asked(agreed)[0].item(), max(mixed), asked(collapsed)[0].item(),
            (one, other), asked(exchanged)[0].item(),
        )  # fmt: skip


@exercise("a function `(outputs, project, temperature)` that returns a loss, a tensor of one number")
def check_own(answer: Callable) -> Verdict:
    """A supervisor as a function: finite, felt by E, low where views agree; and what a collapse costs."""
    if not callable(answer) or isinstance(answer, type):
        raise TypeError("expected a function")
    try:
        inspect.signature(answer).bind({}, None, 0.1)
    except TypeError:
        return wrong("It takes three things: `def own(outputs, project, temperature): ...`.")
    try:
        own = function_in(source_of(answer))
    except OSError:
        return wrong("Its source is not to be found: write it in a cell, so that the runs can be given it.")
    try:
        found = tried(own)
    except NameError as error:
        return wrong(
            f"{error}. Runs are processes of their own: they know `torch`, `F` and `info_nce`; what else it "
            "needs has to be made or imported inside of the function."
        )
    except KeyError as error:
        return wrong(
            f"{error} is neither a feature nor a projector. Features are {', '.join(CARRIES)}; projectors "
            "are rich, shape and texture."
        )
    except RuntimeError as error:
        said = " ".join(str(error).split())[:120]
        return wrong(
            f"torch refuses: {said}. Projections are (B, D); `shape` reads S, `rich` and `texture` the rest."
        )
    except ValueError as error:
        return wrong(str(error))
    if not found.pull > 0:
        return wrong("Its gradient does not reach the encoder: it would change nothing.")
    if found.agreed > found.strangers + SAME:
        return wrong(
            f"The wrong way round: where a face's views agree it is {found.agreed:.2f}, and lower with "
            f"another face's, {found.strangers:.2f}. What is returned is made *small*."
        )
    if found.agreed > found.strangers - SAME:
        return wrong(
            f"It is {found.agreed:.2f} where a face's views agree, and no more with another face's view: it "
            "does not pull a face's own together."
        )
    said = [
        f"On noise its loss is {found.loss:.2f}, {found.agreed:.2f} where a face's views agree and "
        f"{found.strangers:.2f} with a stranger's, and its gradient reaches the encoder."
    ]
    if found.collapsed > found.agreed + SAME:
        said.append(f"All faces in one point cost {found.collapsed:.2f}: rivals stand against a collapse.")
    else:
        said.append(
            f"All faces in one point cost {found.collapsed:.2f}, no more than agreement: it only pulls, and "
            "nothing but the tasks stands against a collapse."
        )
    if abs(found.turned - found.loss) > SAME:
        one, other = (f"`{name}`" for name in found.pair)
        said.append(
            f"It asks one way only: with {one} and {other} exchanged it says {found.turned:.2f}. The "
            "library's ask both ways and take the mean."
        )
    return right(" ".join(said))

"""Lesson 7: your own supervisor as a function, and the checks of exercises 4-5.

The function is `own(outputs, project, temperature) -> ()`. outputs: name -> feature (B, ., h, w) of both
rounds, the names of CARRIES. project: (projector, name) -> (B, D) of length 1. Its value is minimised.
Every run of the study imports this module, so it imports no plots.
"""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from aulib.contrastive import Projections
from aulib.model import AUModel, ModelConfig
from aulib.objective import ROUND_TERMS, TERMS
from aulib.supervisors import SUPERVISORS, Supervisor
from exercises import Verdict, exercise, right, wrong

IMPORTS = "import torch\nimport torch.nn.functional as F\nfrom aulib.contrastive import info_nce\n"
FACES = 6  # of noise, that a function is tried on
SAME = 1e-3  # nats; closer losses count as equal
CARRIES = {  # feature -> whose shape and whose texture it carries
    "rich_s": "Ss Zs", "rich_t": "St Zt", "self_s": "Ss Zs", "self_t": "St Zt", "rich2_s": "Ss Zs",
    "rich2_t": "St Zt", "swapped_t": "Ss Zt", "swapped_s": "St Zs", "shape_s": "Ss", "shape_t": "St",
    "shape2_s": "Ss", "shape2_t": "St", "texture_s": "Zs", "texture_t": "Zt", "texture2_s": "Zs",
    "texture2_t": "Zt",
}  # fmt: skip


def source_of(function: Callable) -> list[str]:
    """The source lines of a function written in a cell or a file.

    Raises:
        TypeError, OSError: it is no function, or its source is not available.
    """
    return textwrap.dedent(inspect.getsource(function)).rstrip().splitlines()


def function_in(lines: list[str]) -> Callable:
    """The function that these lines define; it sees IMPORTS and nothing of a notebook."""
    names: dict = {}
    exec(IMPORTS, names)
    before = set(names)
    exec(compile("\n".join(lines), "<own supervisor>", "exec"), names)
    return next(made for name, made in names.items() if name not in before and callable(made))


def enter_supervisor(lines: list[str]) -> str:
    """Add a function as a term of the objective in this process; returns the term's name."""
    own = function_in(lines)

    def term(step):
        return own(step.outputs, step.projections, step.objective.temperature)

    ROUND_TERMS["own"] = TERMS["own"] = term
    return "own"


# exercise 4: a row of the table


@exercise('a row, such as Supervisor("rich_s", "rich2_s", "rich", ("swapped_t",))')
def check_supervisor(answer) -> Verdict:
    """A row that is not in SUPERVISORS, with a pair of the same face and hard rivals."""
    if not isinstance(answer, Supervisor):
        raise TypeError("expected a Supervisor")
    if isinstance(answer.rivals, str):
        return wrong(f'A tuple needs a comma, even with one rival: `rivals=("{answer.rivals}",)`.')
    pair, rivals = (answer.first, answer.second), tuple(answer.rivals)
    if unknown := [name for name in (*pair, *rivals) if name not in CARRIES]:
        return wrong(f"`{unknown[0]}` is no feature; choose from {', '.join(CARRIES)}.")
    if answer.first == answer.second:
        return wrong("A feature agrees with itself: there is nothing to pull.")
    if not rivals:
        return wrong("Name at least one rival of the same face.")
    if set(pair) & set(rivals):
        return wrong("A feature of the pair is among its own rivals: it would be both pulled and pushed.")
    first, second = (set(CARRIES[name].split()) for name in pair)
    if not (first <= second or second <= first):
        return wrong(f"{_carried(pair[0])}; {_carried(pair[1])}: not the same face.")
    kinds = {name[:-2].rstrip("2") for name in (*pair, *rivals)}
    if "shape" in kinds | {answer.projector} and kinds | {answer.projector} != {"shape"}:
        return wrong("The projector `shape` reads shapes and nothing else: S has one map per landmark.")
    if answer.projector not in ("rich", "texture", "shape"):
        return wrong(f"Unknown projector `{answer.projector}`; choose rich, shape or texture.")
    if bad := [name for name in rivals if not _is_rival(name, first, second)]:
        return wrong(f"{_carried(bad[0])}. A rival shares one half with the face, and not the other.")
    for name, row in SUPERVISORS.items():
        if {row.first, row.second} == set(pair):
            return wrong(f"`{name}` already has that pair.")
    return right("A pair of the same face with hard rivals. Next: write it as a function.")


def _carried(feature: str) -> str:
    words = {"S": "shape", "Z": "texture", "s": "source", "t": "target"}
    parts = [f"the {words[whose]}'s {words[half]}" for half, whose in CARRIES[feature].split()]
    return f"`{feature}` carries {' and '.join(parts)}"


def _is_rival(name: str, first: set[str], second: set[str]) -> bool:
    """Whether a feature carries something of another face, but not all that a feature of the pair carries."""
    face, carried = first | second, set(CARRIES[name].split())
    if first <= carried or second <= carried or carried <= face:
        return False
    if len(face) == 1:  # S or Z alone has no half to share: the same half of the other face
        return {part[0] for part in face} == {part[0] for part in carried}
    return bool(carried & face)


# exercise 5: a function


@dataclass(frozen=True)
class Tried:
    """Losses of a function on noise faces and an untrained model, nats.

    gradient: L1 norm of the loss's gradient at the features.  agreed: both views are equal.  stranger: one
    view is another face's.  one_point: all faces are equal.
    """

    loss: float
    gradient: float
    agreed: float
    stranger: float
    one_point: float


def faces_of_noise() -> tuple[AUModel, dict[str, Tensor]]:
    """An untrained model and its features of both rounds for FACES pairs of noise faces."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = AUModel(ModelConfig(("AU12",), 68, image_size=32, margin_size=40, channels=8))
        outputs = model(torch.rand(2 * FACES, 3, 32, 32), FACES, separate=True)
    return model, {name: outputs[name] for name in CARRIES}


def tried(own: Callable, temperature: float = 0.1) -> Tried:
    """Try a function on noise.

    Raises:
        ValueError: its value is not a finite number that depends on two features.
    """
    model, features = faces_of_noise()

    def loss_of(features: dict[str, Tensor]) -> Tensor:
        return own(features, Projections(features, model.projectors), temperature)

    leaves = {name: feature.clone().requires_grad_() for name, feature in features.items()}
    loss = loss_of(leaves)
    if not isinstance(loss, Tensor):
        raise ValueError(f"It returns a {type(loss).__name__}; return a tensor, which has a gradient.")
    if loss.shape != ():
        raise ValueError(f"It returns shape {tuple(loss.shape)}: take the mean over faces, one number.")
    if not torch.isfinite(loss):
        raise ValueError(f"On noise its loss is {loss.item()}, not finite. A logarithm of 0, or a division?")
    slopes = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True) if loss.requires_grad else []
    used = {name: slope for name, slope in zip(leaves, slopes, strict=False) if slope is not None}
    if len(used) < 2:
        raise ValueError("It does not depend on two features. (`.detach()` and `.item()` cut the gradient.)")
    equal_views = features | {
        f"{second}_{domain}": features[f"{first}_{domain}"]
        for first, second in (
            ("rich", "rich2"), ("rich", "self"), ("shape", "shape2"), ("texture", "texture2"),
        )
        for domain in "st"
    }  # fmt: skip
    views = [name for name in used if not name.startswith("swapped")] or list(used)
    strangers = [equal_views | {name: equal_views[name].roll(1, 0)} for name in views]
    one_point = {}
    for name, feature in features.items():
        kind = name[:-2].rstrip("2")
        same = features[f"{kind}_s" if kind in ("shape", "texture") else "rich_s"]
        one_point[name] = same.mean(0, keepdim=True).expand_as(feature)
    with torch.no_grad():
        return Tried(
            loss=loss.item(),
            gradient=float(sum(slope.abs().sum() for slope in used.values())),
            agreed=loss_of(equal_views).item(),
            stranger=max(loss_of(one) for one in strangers).item(),
            one_point=loss_of(one_point).item(),
        )


@exercise("a function `(outputs, project, temperature)` that returns a loss, a tensor of one number")
def check_own(answer: Callable) -> Verdict:
    """A supervisor as a function: finite, with a gradient, and lower where the views of a face agree."""
    if not callable(answer) or isinstance(answer, type):
        raise TypeError("expected a function")
    try:
        inspect.signature(answer).bind({}, None, 0.1)
    except TypeError:
        return wrong("It takes three arguments: `def own(outputs, project, temperature): ...`.")
    try:
        found = tried(function_in(source_of(answer)))
    except OSError:
        return wrong("Its source cannot be read: define it with `def` in a cell, so that runs can have it.")
    except NameError as error:
        return wrong(f"{error}. Runs are other processes: they know `torch`, `F` and `info_nce`, no globals.")
    except KeyError as error:
        return wrong(f"{error} is neither a feature ({', '.join(CARRIES)}) nor rich, shape or texture.")
    except RuntimeError as error:
        return wrong(f"torch refuses: {' '.join(str(error).split())[:120]}. Projections are (B, D).")
    except ValueError as error:
        return wrong(str(error))
    if not found.gradient > 0:
        return wrong("Its gradient does not reach the encoder: it would change nothing.")
    measured = f"{found.agreed:.2f} where the views of a face agree, {found.stranger:.2f} where not"
    if found.agreed > found.stranger + SAME:
        return wrong(f"The wrong sign: {measured}. The loss is *minimised*.")
    if found.agreed > found.stranger - SAME:
        return wrong(f"It does not pull a face's own views together: {measured}.")
    collapse = "prevents a collapse" if found.one_point > found.agreed + SAME else "only pulls"
    return right(f"Its loss is {measured}, and {found.one_point:.2f} for a single point: it {collapse}.")

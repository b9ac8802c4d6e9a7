"""Lesson 7: what a small study says and what one of its seeds would have said; its checks."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aubench.plots.style import MEASURE_NAMES, in_house_style
from aubench.plots.supervision import ABOVE, BELOW
from aubench.report.statistics import paired_differences, t_interval
from aubench.report.summaries import Summary
from aulib.contrastive import Projections, alignment_term
from aulib.methods import SUPERVISORS, Supervisor
from exercises import Verdict, exercise, hint_for, number, right, wrong
from own_supervisor import CARRIES, faces_of_noise
from seeds import power, relative_width
from small_study import REFERENCE

WANTED_POWER = 0.8
YOURS = "two-and-yours"  # the variant with a learner's own supervisor


def points(summary: Summary, measure: str = "f1") -> pd.DataFrame:
    """Each variant minus REFERENCE, seed by seed, times 100: a row a seed, a column a variant."""
    table = 100 * summary.seeds_of(measure)
    return table.drop(columns=REFERENCE).sub(table[REFERENCE], axis=0)


@in_house_style
def draw_study(summary: Summary, measure: str = "f1") -> Figure:
    """Left: the variants' scores, a line a seed. Right: differences from REFERENCE, mean and interval."""
    scores, differences = 100 * summary.seeds_of(measure), points(summary, measure)
    figure = Figure(figsize=(7.4, 2.9), layout="constrained")
    left, right_ = figure.subplots(1, 2)
    places = np.arange(len(scores.columns))
    for _, row in scores.iterrows():
        left.plot(places, row, color="#999999", linewidth=1, marker="o", markersize=4)
    for seed, height in _apart(scores.iloc[:, -1], 0.07 * np.ptp(scores.to_numpy())).items():
        left.text(places[-1] + 0.22, height, f"seed {seed}", va="center", fontsize=7, color="#555555")
    left.scatter(places, scores.mean(), marker="_", s=420, color="black", linewidths=1.8, zorder=3)
    left.set_xticks(places, [name.replace("-and-", "\nand ") for name in scores.columns])
    left.set_xlim(-0.4, places[-1] + 0.8)
    left.set_ylabel(f"{MEASURE_NAMES[measure]} x 100, target test")
    left.set_title("a line a seed, bars their means")
    for place, (_, values) in enumerate(differences.items()):
        own = values.dropna().to_numpy()
        mean, low, high, _ = t_interval(own)
        right_.hlines(place, low, high, color="black", linewidth=1.4)
        right_.scatter(mean, place, marker="|", s=130, color="black", linewidths=1.8, zorder=3)
        colours = [ABOVE if value > 0 else BELOW for value in own]
        lanes = place + 0.14 + 0.07 * np.arange(len(own))  # so that equal seeds do not hide each other
        right_.scatter(own, lanes, s=22, color=colours, zorder=3)
    right_.axvline(0, color="black", linewidth=0.9)
    right_.set_yticks(range(differences.shape[1]), differences.columns)
    right_.set_ylim(differences.shape[1] - 0.45, -0.3)
    right_.set_xlabel(f"minus {REFERENCE}, {MEASURE_NAMES[measure]} x 100\ndots: seeds, line: 95 % interval")
    right_.set_title("what the variants differ by")
    return figure


def _apart(heights: pd.Series, gap: float) -> pd.Series:
    """Heights of labels, lifted where they would overlap."""
    placed, floor = {}, -np.inf
    for name, height in heights.sort_values().items():
        placed[name] = floor = max(height, floor + gap)
    return pd.Series(placed)


def said_of_study(summary: Summary, measure: str = "f1") -> str:
    """The study's answer and what its single seeds would have answered, decided by the numbers."""
    from aubench.report.statistics import against

    rows = paired_differences(summary, against(summary, REFERENCE), [measure])
    rows = rows[rows["au"] == "mean"].set_index("variant")
    differences, alone = points(summary, measure), 100 * np.ptp(summary.seeds_of(measure)[REFERENCE].dropna())
    apart = np.ptp(differences.stack())
    buys = "that is what pairing buys" if apart < alone else "here pairing buys nothing"
    said = [
        f"- From seed to seed, *{REFERENCE}* itself moves by up to {alone:.1f} points; the differences, "
        f"taken seed by seed, by {apart:.1f}: {buys}."
    ]
    for name, values in differences.items():
        own, row = values.dropna(), rows.loc[name]
        if len(own) < 2:
            said.append(f"- **{name}**: {len(own)} seed has no interval. Run more.")
            continue
        answer = (
            "cannot be told from chance"
            if not row["p_holm"] < 0.05
            else "is better than chance allows"
            if row["difference"] > 0
            else "is worse than chance allows"
        )
        interval = f"[{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
        said.append(
            f"- **{name}** minus {REFERENCE}: {100 * row['difference']:+.1f} points, 95 % interval "
            f"{interval}, p = {row['p_holm']:.2f} after Holm: it {answer}. By themselves "
            f"{int((own > 0).sum())} of {len(own)} seeds say that it helps; they reach from "
            f"{own.min():+.1f} to {own.max():+.1f}."
        )
    return "\n".join(said)


def said_of_yours(summary: Summary, measure: str = "f1") -> str:
    """What the study says of the learner's variant, with it and without it; or that it waits for one."""
    if YOURS not in summary.variants:
        return "`answer_5` waits: the study stands as before, without a supervisor of yours."
    lines = [line for line in said_of_study(summary, measure).splitlines() if f"**{YOURS}**" in line]
    table = points(summary, measure)
    gain = (table[YOURS] - table["two"]).dropna()
    if len(gain) > 1:
        mean, low, high, _ = t_interval(gain.to_numpy())
        answer = (
            "helps more than chance explains"
            if low > 0
            else "hurts more than chance explains"
            if high < 0
            else "cannot be told from nothing"
        )
        lines.append(
            f"- With yours minus without it (`two`): {mean:+.1f} points, 95 % interval [{low:+.1f}, "
            f"{high:+.1f}] over {len(gain)} seeds: it {answer}."
        )
    return "\n".join(lines)


def said_of_luck(differences: pd.Series, simulated: pd.DataFrame) -> str:
    """How ordinary the measured differences are in a world where nothing helps."""
    alone = float((simulated["first"].abs() >= differences.abs().max()).mean())
    together = float((simulated["mean"].abs() >= abs(differences.mean())).mean())
    surprise = "not surprising" if together > 0.05 else "surprising"
    return (
        f"Where nothing helps, one seed alone shows a difference as large as the largest measured "
        f"({differences.abs().max():.1f} points) in {100 * alone:.0f} % of cases, and {len(differences)} "
        f"seeds a mean as large as the measured ({differences.mean():+.1f}) in {100 * together:.0f} %: "
        f"{surprise}."
    )


@exercise("a whole number, such as 2")
def check_lone_seeds(answer, differences: pd.Series) -> Verdict:
    """How many seeds alone would have said "it helps"."""
    said, own = number(answer), differences.dropna()
    truth = int((own > 0).sum())
    if said == truth:
        return right(
            f"{truth} of {len(own)} seeds; their differences reach from {own.min():+.1f} to {own.max():+.1f} "
            "points. Had you run one of them only, you would not know how far the others are from it."
        )
    if said != round(said):
        return wrong("How many of them: a count, not a share or a difference.")
    if said == len(own) - truth:
        return wrong("These are the ones that say it does not help. A difference above zero says it does.")
    if said > len(own):
        return wrong(f"There are {len(own)} seeds only, a dot each in the figure's right half.")
    return wrong("Count the entries of `differences` above zero: the dots to the right of the line.")


@exercise("a factor, such as 0.9")
def check_width(answer, few: int, many: int) -> Verdict:
    """How wide an interval of `many` seeds is, beside one of `few`."""
    said, truth = number(answer), relative_width(few, many)
    if abs(said - truth) < 0.01:
        return right(
            f"{truth:.2f}. The root of the number gives {np.sqrt(few / many):.2f}, and Student's t the rest: "
            "from few seeds not even the spread is known well."
        )
    mistakes = (
        (
            np.sqrt(few / many),
            "The error of the mean shrinks so; the factor before it, Student's t, shrinks too.",
        ),
        (few / many, "Errors shrink with the *root* of the number of seeds, not with the number."),
        (1, "Then more seeds would be of no use. Only the spread of a single seed stays the same."),
        (1 / truth, "The other way round: so many times wider is the interval of few seeds."),
        (1 - truth, "That is by how much it shrinks; asked is what is left of it."),
    )
    return hint_for(
        said,
        mistakes,
        "Half a width is t × spread / √seeds, with seeds - 1 degrees of freedom. Form it twice.",
    )


@exercise("a whole number of seeds, such as 5")
def check_seeds_needed(answer, effect: float, spread: float) -> Verdict:
    """The smallest study that finds the effect in four cases of five."""
    said = number(answer)
    if said != round(said):
        return wrong("Seeds are whole; round up.")
    if said < 2:
        return wrong("One seed has no spread, so it can find nothing however large the effect is.")
    found = power(effect, spread, int(said))
    if found < WANTED_POWER:
        return wrong(
            f"Of {said:.0f} seeds, {100 * found:.0f} % of studies find it: too few. (Formulas with the "
            "normal in place of Student's t come out a little low.)"
        )
    if said > 2 and power(effect, spread, int(said) - 1) >= WANTED_POWER:
        return wrong(f"That finds it in {100 * found:.0f} % of studies: enough, and not the fewest.")
    return right(
        f"{said:.0f} seeds find it in {100 * found:.0f} % of studies. So a study of three seeds that found "
        "nothing has not shown that there is nothing."
    )


@exercise('a row, such as Supervisor("rich_s", "rich2_s", "rich", ("swapped_t",))')
def check_supervisor(answer) -> Verdict:
    """A row of the table of supervisors that is not in it, with a sensible pair and rivals, that moves E."""
    if not isinstance(answer, Supervisor):
        raise TypeError("expected a Supervisor")
    if isinstance(answer.rivals, str):
        return wrong(f'A tuple needs a comma, even with one rival: `rivals=("{answer.rivals}",)`.')
    rivals = tuple(answer.rivals)
    for name in (answer.first, answer.second, *rivals):
        if name not in CARRIES:
            return wrong(f"`{name}` is no feature of both rounds. There are {', '.join(CARRIES)}.")
    if answer.first == answer.second:
        return wrong("A feature agrees with itself already: there is nothing to pull.")
    if not rivals:
        return wrong("Without a rival of the same face the table's rows are not complete; name at least one.")
    if {answer.first, answer.second} & set(rivals):
        return wrong(
            "One end of the pair stands among its own rivals: it would be pulled and pushed at once."
        )
    first, second = (set(CARRIES[name].split()) for name in (answer.first, answer.second))
    if not first & second:
        return wrong(
            f"`{answer.first}` carries {_carried(answer.first)}, `{answer.second}` "
            f"{_carried(answer.second)}: nothing makes them the same face."
        )
    if not (first <= second or second <= first):
        return wrong(
            f"`{answer.first}` carries {_carried(answer.first)}, `{answer.second}` "
            f"{_carried(answer.second)}: two different faces that share a half. They are rivals, not a pair."
        )
    reads = {"shape": "shape", "texture": "texture"}
    kinds = {reads.get(name.rstrip("2_st"), "rich") for name in (answer.first, answer.second, *rivals)}
    if "shape" in kinds and (kinds != {"shape"} or answer.projector != "shape"):
        return wrong(
            "S has a map for each landmark, the others have channels: p_S reads shapes, and shapes only."
        )
    if answer.projector not in ("rich", "texture") and kinds != {"shape"}:
        return wrong(f"`{answer.projector}` cannot read these; projectors are rich, shape and texture.")
    for name in rivals:
        if fault := _fault_of_rival(name, answer):
            return wrong(fault)
    for name, row in SUPERVISORS.items():
        if {row.first, row.second} == {answer.first, answer.second}:
            return wrong(f"That pair is taken already: `{name}`.")
    loss, moves = tried(answer)
    if not moves > 0:
        return wrong("Its gradient does not reach the encoder: it would change nothing.")
    return right(
        f"On noise its loss is {loss:.2f} nats and its gradient reaches the encoder. Next: as a function."
    )


def _fault_of_rival(name: str, row: Supervisor) -> str:
    """Why a feature is no rival of a row's pair: it has to share a half with the face and bring another's."""
    ends = {end: set(CARRIES[end].split()) for end in (row.first, row.second)}
    face, carried = set().union(*ends.values()), set(CARRIES[name].split())
    if carried <= face:
        return f"The rival `{name}` carries {_carried(name)} alone: a face would be pushed from itself."
    if whole := [end for end, parts in ends.items() if parts <= carried]:
        return (
            f"The rival `{name}` carries {_carried(name)}, all that `{whole[0]}` does: a face would be "
            "pushed from itself."
        )
    kinds = {part[0] for part in face}
    if len(kinds) == 1:  # S or Z alone has no half to share: the other face's of the same kind
        return "" if kinds == {part[0] for part in carried} else _foreign(name, row)
    return "" if carried & face else _foreign(name, row)


def _foreign(name: str, row: Supervisor) -> str:
    return (
        f"The rival `{name}` carries {_carried(name)} and shares no half with `{row.first}`: a stranger, of "
        "whom the batch has enough. A hard rival shares one half with the face."
    )


def _carried(feature: str) -> str:
    words = {"S": "shape", "Z": "texture", "s": "source", "t": "target"}
    return " and ".join(f"the {words[part[1]]}'s {words[part[0]]}" for part in CARRIES[feature].split())


def tried(supervisor: Supervisor) -> tuple[float, float]:
    """A supervisor on an untrained model and noise: its loss (nats), and how strongly it pulls at E."""
    model, outputs = faces_of_noise()
    loss = alignment_term(supervisor, Projections(outputs, model.projectors))
    loss.backward()
    slopes = [weight.grad.norm() for weight in model.encoder.parameters() if weight.grad is not None]
    return loss.item(), float(sum(slopes))

"""What a slimming is to reach, and the choice of channels that reaches it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, cast

from archc.analysis.cost import costs_of
from archc.channels.selection import RULES, Choice, Floor, choose, least_ratio
from archc.diagnostics import did_you_mean, error
from archc.passes.slim import thin
from archc.slim.measured import latency_of
from archc.slim.scores import MEASURES, scores_of
from archc.slim.slimming import Wide, slim
from archc.slim.taylor import taylor_scores

Quantity = Literal["macs", "params"]


@dataclass(frozen=True)
class Aim:
    """A ratio, or what the net may cost at most, as `50%` or a number (of `latency` only a share,
    measured with `batch` images); and how channels are chosen.

    Raises ArchError for words that mean nothing.
    """

    ratio: float | None = None
    macs: str | None = None
    params: str | None = None
    latency: str | None = None
    batch: int = 1
    rule: str = "count"
    score: str = "scale"
    seed: int = 0
    shifted: bool = False
    floor: Floor = field(default_factory=Floor)

    def __post_init__(self) -> None:
        for option, word, known in (("rule", self.rule, RULES), ("score", self.score, MEASURES)):
            if word not in known:
                help = did_you_mean(word, known) or f"there are {', '.join(known)}"
                raise error("E0844", f"there is no {option} `{word}`", help=help)

    def notes(self, choice: Choice) -> dict[str, object]:
        """What a plan says of its making."""
        found: dict[str, object] = {
            "net": choice.channels.graph.name,
            "rule": self.rule,
            "score": self.score,
            "threshold": choice.threshold,
        }
        asked = {
            "ratio": self.ratio,
            "target_macs": self.macs,
            "target_params": self.params,
            "target_latency": self.latency,
        }
        return found | {name: value for name, value in asked.items() if value is not None}


def choose_for(wide: Wide, aim: Aim) -> Choice:
    """The channels of a net that go. Raises ArchError where the aim cannot be reached."""
    if aim.score == "taylor":
        scores = taylor_scores(wide, aim.seed)
    else:
        scores = scores_of(aim.score, wide.graph, wide.state, aim.seed)

    def chosen(ratio: float) -> Choice:
        rule = cast('Literal["count", "paper"]', aim.rule)
        return choose(wide.graph, scores, ratio, rule=rule, limits=aim.floor, shifted=aim.shifted)

    if aim.ratio is not None:
        return chosen(aim.ratio)
    if aim.latency is not None:
        return _fast(wide, aim.latency, aim.batch, chosen)
    quantity: Quantity = "params" if aim.macs is None else "macs"
    most = _most(aim, wide, quantity)
    choice = least_ratio(lambda one: _cost(one, quantity) <= most, chosen)
    if choice is None:
        least = _cost(chosen(1 - 2**-14), quantity)
        raise error(
            "E0844",
            f"`{wide.graph.name}` cannot have at most {most:,} {quantity}: with the channels that "
            f"have to stay it has {least:,}",
        )
    return choice


_STEPS = 7
"""Of the bisection for a latency: each of them measures, and ratios nearer than 1% do not differ
by more than what is measured twice does."""


def _fast(wide: Wide, target: str, batch: int, chosen: Callable[[float], Choice]) -> Choice:
    """The channels whose removal was measured to be enough. Raises ArchError if there are none."""
    if not target.endswith("%"):
        raise error("E0844", f"a latency is a share of the wide net's, as `50%`, not `{target}`")
    most = _number(target) / 100
    net = wide.net().eval()
    shares: list[float] = []

    def fits(choice: Choice) -> bool:
        thin = slim(wide, choice, {}).net().eval()
        found = latency_of(net, thin, wide.graph, batch)
        if found is None:
            what = f"`{wide.graph.name}` takes images of any size: its latency is not measured"
            raise error("E0844", what)
        shares.append(found.after / found.before)
        return shares[-1] <= most

    choice = least_ratio(fits, chosen, _STEPS)
    if choice is None:
        raise error(
            "E0844",
            f"`{wide.graph.name}` was not measured to take at most {target} of its time: the "
            f"fastest took {min(shares):.1%}",
        )
    return choice


def _cost(choice: Choice, quantity: Quantity) -> int:
    cost = costs_of(thin(choice.channels)).total()
    found = cost.params if quantity == "params" else cost.macs
    assert found is not None
    return found


def _most(aim: Aim, wide: Wide, quantity: Quantity) -> int:
    text = (aim.params if quantity == "params" else aim.macs) or ""
    cost = costs_of(wide.graph).total()
    whole = cost.params if quantity == "params" else cost.macs
    if whole is None:
        raise error(
            "E0844", f"`{wide.graph.name}` takes images of any size: its MACs are no number"
        )
    number = _number(text)
    return int(whole * number / 100) if text.endswith("%") else int(number)


def _number(text: str) -> float:
    """The number in a target. Raises ArchError where it has none."""
    try:
        number = float(text.removesuffix("%").replace("_", "").replace(",", ""))
    except ValueError:
        number = 0
    if not 0 < number < 1e18:
        raise error("E0844", f"a target is a number or a share, as `50%`, not `{text}`")
    return number

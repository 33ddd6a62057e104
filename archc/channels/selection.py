"""Which channels go: by the scores of the norms' channels, a rule, and what a layer has to keep."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from archc.channels.analysis import Channels, analyse, norms_of
from archc.channels.masks import every, mask_of, members
from archc.channels.plan import Plan
from archc.diagnostics import error
from archc.ir.graph import Graph, Path

Scores = Mapping[Path, Sequence[float]]
"""How much each channel of each norm matters."""

RULES = ("count", "paper")
"""count: of N channels the `int(N * ratio)` of least score go; of equal ones the first. paper:
those go whose score is not greater than the one at that place in order, one more (or, of equal
ones, several), as in the scripts of Liu et al., 2017."""


@dataclass(frozen=True)
class Floor:
    """What each norm keeps, whatever its scores are: so many channels, all but a share of them, and
    a multiple of a number."""

    min_channels: int = 1
    max_layer_ratio: float = 1.0
    round_to: int = 1

    def most(self, width: int) -> int:
        """How many of so many channels may go."""
        return min(width - min(self.min_channels, width), int(self.max_layer_ratio * width))

    def restored(self, width: int, dropped: int) -> int:
        """How many of the dropped channels come back, so that the rest is a multiple."""
        kept = width - dropped
        return min(math.ceil(kept / self.round_to) * self.round_to, width) - kept


@dataclass(frozen=True)
class Choice:
    """The channels that go, and what becomes of the net then.

    `threshold` is the largest score of those that the rule lets go; `stays` says of others why they
    stay although their score is no larger.
    """

    channels: Channels
    threshold: float
    scores: Scores
    stays: Mapping[tuple[Path, int], str]

    def plan(self, notes: Mapping[str, object]) -> Plan:
        """The channels that are left of all norms."""
        kept = {".".join(path): mask for path, mask in self.channels.norms().items()}
        widths = {".".join(path): width for path, width in widths_of(self.channels.graph).items()}
        return Plan(kept, widths, self.channels.shifted, notes)

    def why(self, path: Path, channel: int) -> str:
        """What becomes of a channel, and why."""
        if not self.channels.norms()[path] >> channel & 1:
            dropped = self.channels.dropped.get(path, 0) >> channel & 1
            return "goes" if dropped else "goes: nothing reads it any more"
        if (path, channel) in self.stays:
            return f"stays: {self.stays[path, channel]}"
        return "stays: it is above the threshold"


def widths_of(graph: Graph) -> dict[Path, int]:
    """The channels of the norms, in their order."""
    return {node.layer.path: node.type.channels for node in norms_of(graph) if node.layer.path}


def choose(
    graph: Graph,
    scores: Scores,
    ratio: float,
    *,
    rule: Literal["count", "paper"] = "count",
    limits: Floor | None = None,
    shifted: bool = False,
) -> Choice:
    """The channels that go at a ratio of all that have scores. Raises ArchError.

    What cannot leave stays, and with `count` the next go in their place.
    """
    _check(scores, ratio)
    chooser = _Chooser(graph, scores, rule, limits or Floor(), shifted)
    return chooser.run(ratio)


def _check(scores: Scores, ratio: float) -> None:
    everything = [score for each in scores.values() for score in each]
    if not everything:
        raise error(
            "E0843", "the net has no batch norms with scales: there is nothing to choose by"
        )
    if not all(map(math.isfinite, everything)):
        raise error("E0843", "some scores are not finite: the weights are broken")
    if ratio and min(everything) == max(everything):
        raise error(
            "E0843",
            f"all {len(everything)} scores are equal ({everything[0]:g}): they do not tell which "
            "channels matter",
            help="scales tell it after training with a sparsity term; `--score l1` goes by weights",
        )


@dataclass
class _Chooser:
    graph: Graph
    scores: Scores
    rule: str
    limits: Floor
    shifted: bool
    stays: dict[tuple[Path, int], str] = field(default_factory=dict)

    def run(self, ratio: float) -> Choice:
        while True:
            order = sorted(
                (score, layer, channel, path)
                for layer, (path, each) in enumerate(self.scores.items())
                for channel, score in enumerate(each)
            )
            count = int(len(order) * ratio)
            beside: dict[tuple[Path, int], str] = {}
            dropped, threshold = self._dropped(order, count, beside)
            channels = analyse(self.graph, dropped, shifted=self.shifted)
            more = self._staying(channels)
            if not more:
                return Choice(channels, threshold, self.scores, {**beside, **self.stays})
            self.stays.update(more)

    def _dropped(
        self,
        order: Sequence[tuple[float, int, int, Path]],
        count: int,
        beside: dict[tuple[Path, int], str],
    ) -> tuple[dict[Path, int], float]:
        """The channels that go, and the largest score of them that the rule knows of."""
        found: dict[Path, list[int]] = {path: [] for path in self.scores}
        threshold = order[min(count, len(order) - 1)][0] if self.rule == "paper" else -math.inf
        gone = 0
        for score, _, channel, path in order:
            if self.rule == "paper" and score > threshold:
                break
            if self.rule == "count" and gone == count:
                break
            if (path, channel) in self.stays:
                continue
            if len(found[path]) >= self.limits.most(len(self.scores[path])):
                beside[path, channel] = "its norm would keep too few channels"
                continue
            found[path].append(channel)
            threshold, gone = max(threshold, score), gone + 1
        for path, channels in found.items():
            back = self.limits.restored(len(self.scores[path]), len(channels))
            for channel in channels[len(channels) - back :] if back else ():
                beside[path, channel] = f"its norm keeps a multiple of {self.limits.round_to}"
                channels.remove(channel)
        return {path: mask_of(channels) for path, channels in found.items()}, threshold

    def _staying(self, channels: Channels) -> dict[tuple[Path, int], str]:
        """The dropped channels that cannot leave, and why."""
        found: dict[tuple[Path, int], str] = {}
        for node in norms_of(self.graph):
            path = node.layer.path
            assert path is not None
            dropped = channels.dropped.get(path, 0)
            left = channels.kept[node.id] & dropped
            if dropped == every(node.type.channels) and left:  # one is needed: that of most score
                left = 1 << max(members(dropped), key=self.scores[path].__getitem__)
                found[path, left.bit_length() - 1] = "the net needs one channel of its norm"
                continue
            for channel in members(left):
                found[path, channel] = channels.why(node, channel) or "it is read"
        return found


def least_ratio(
    fits: Callable[[Choice], bool], chosen: Callable[[float], Choice], steps: int = 14
) -> Choice | None:
    """The choice of the least ratio, up to 2**-steps, that fits; None where none does."""
    low, high, best = 0.0, 1.0, None
    for _ in range(steps):
        middle = (low + high) / 2
        choice = chosen(middle)
        if fits(choice):
            high, best = middle, choice
        else:
            low = middle
    return best

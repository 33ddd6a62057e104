"""Thresholds of early exits: the paper's family, and a search for a budget.

A sample leaves at the first exit whose threshold its confidence reaches; at the last one all leave.
Confidences are float64 [exits, N], `hits` bool [exits, N] says whether an exit is right of a
sample, and costs [exits] are what a sample costs that leaves there, in any unit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

NEVER = 1e8
"""The threshold of an exit at which nobody leaves."""


@dataclass(frozen=True)
class Samples:
    """What is known of the samples that thresholds are chosen by."""

    confidences: Tensor
    hits: Tensor
    costs: Tensor

    def leaving(self, thresholds: Sequence[float]) -> Tensor:
        """The exit [N] at which each sample leaves; there is a threshold for each but the last."""
        levels = torch.tensor(thresholds, dtype=torch.float64)
        leaves = self.confidences[:-1] >= levels[:, None]
        last = torch.ones_like(self.hits[-1:])
        return torch.cat([leaves, last]).int().argmax(0)

    def outcome(self, thresholds: Sequence[float]) -> "Outcome":
        exits = self.leaving(thresholds)
        right = self.hits.gather(0, exits[None]).double().mean().item()
        counts = torch.bincount(exits, minlength=len(self.costs))
        return Outcome(right, self.costs[exits].mean().item(), tuple(counts.tolist()))


@dataclass(frozen=True)
class Outcome:
    """The share of samples that are right, the mean cost, and how many leave at each exit."""

    accuracy: float
    cost: float
    counts: tuple[int, ...]


def family(samples: Samples, q: float) -> tuple[float, ...]:
    """The thresholds by which shares of q, q^2, ..., q^exits of the samples leave, normalised
    (Huang et al., 1703.09844, section 4.2; Gaussian tails are not needed).

    As in the authors' code: at each exit the most confident of those that are still there leave, so
    many as the share is of all samples, rounded down; where that is none, nobody ever leaves.
    """
    count, total = samples.confidences.shape
    shares = torch.tensor(q, dtype=torch.float64) ** torch.arange(1, count + 1)
    shares /= shares.sum()
    there = torch.ones(total, dtype=torch.bool)
    found: list[float] = []
    for confidence, share in zip(samples.confidences[:-1], shares[:-1], strict=True):
        leave = int(total * share)
        left = confidence[there].sort(descending=True).values
        threshold = left[min(leave, len(left)) - 1].item() if leave and len(left) else NEVER
        found.append(threshold)
        there &= confidence < threshold
    return tuple(found)


def search(samples: Samples, budget: float) -> tuple[float, ...] | None:
    """Thresholds with the best accuracy on the samples at a mean cost of at most `budget`; None
    where even the first exit costs more.

    Thresholds for many prices of the cost, each found by exchanging one threshold after the other
    for the best one, and the family's are compared; the best that the budget allows is improved
    once more under the budget itself. It is never worse than the family on these samples.
    """
    if samples.costs[0].item() > budget:
        return None
    everyone = (-NEVER, *(NEVER for _ in samples.costs[2:])) if len(samples.costs) > 1 else ()
    candidates = [everyone, *(family(samples, q) for q in _RATIOS)]
    spread = (samples.costs[-1] - samples.costs[0]).item() or 1.0
    start = candidates[len(candidates) // 2]
    candidates += [_exchanged(samples, start, price / spread, None) for price in _PRICES]
    rated = [(samples.outcome(each), each) for each in candidates]
    allowed = [pair for pair in rated if pair[0].cost <= budget]
    _, best = max(allowed, key=lambda pair: (pair[0].accuracy, -pair[0].cost))
    improved = _exchanged(samples, best, 0.0, budget)

    def worth(each: Sequence[float]) -> tuple[float, float]:
        outcome = samples.outcome(each)
        return outcome.accuracy, -outcome.cost

    return max(best, improved, key=worth)


_RATIOS = tuple(2.0 ** (k / 10) for k in range(-60, 61))
_PRICES = tuple(2.0 ** (k / 2) for k in range(-20, 5))
_ROUNDS = 6


def _exchanged(
    samples: Samples, thresholds: Sequence[float], price: float, budget: float | None
) -> tuple[float, ...]:
    """Thresholds each of which is the best beside the others: for accuracy less `price` times cost,
    or for accuracy within the budget."""
    found = list(thresholds)
    for _ in range(_ROUNDS):
        before = list(found)
        for k in range(len(found)):
            found[k] = _best(samples, found, k, price, budget)
        if found == before:
            break
    return tuple(found)


def _best(
    samples: Samples, thresholds: Sequence[float], k: int, price: float, budget: float | None
) -> float:
    """The best threshold of exit k beside the others."""
    never = samples.leaving([*thresholds[:k], NEVER, *thresholds[k + 1 :]])
    there = (samples.leaving([*thresholds[:k], -NEVER, *thresholds[k + 1 :]]) == k).nonzero()[:, 0]
    if not len(there):
        return thresholds[k]
    there = there[samples.confidences[k, there].argsort(descending=True)]
    sure, otherwise = samples.confidences[k, there], never[there]
    right = samples.hits[k, there].double() - samples.hits[otherwise, there].double()
    saved = samples.costs[otherwise] - samples.costs[k]
    values = torch.cat([torch.zeros(1, dtype=torch.float64), (right + price * saved).cumsum(0)])
    ends = torch.ones(len(values), dtype=torch.bool)
    ends[1:-1] = sure[1:] < sure[:-1]  # equal confidences leave together
    if budget is not None:
        spent = samples.costs[never].sum() - torch.cat([torch.zeros(1), saved]).double().cumsum(0)
        ends &= spent <= budget * samples.confidences.shape[1]
        if not ends.any():
            return thresholds[k]
    place = int(values.masked_fill(~ends, -torch.inf).argmax())
    if not place:
        return NEVER
    # Midway to the next one: what is computed in another batch differs in the last bits.
    after = sure[place] if place < len(sure) else sure[place - 1]
    return ((sure[place - 1] + after) / 2).item()


def family_curve(samples: Samples) -> Iterator[tuple[float, ...]]:
    """The thresholds of the paper's curves: q = 1/20, 2/20, ..., 39/20."""
    return (family(samples, p / 20) for p in range(1, 40))

"""Thresholds of early exits: the authors' vectors, and a search that is never worse than them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from archc.anytime.thresholds import NEVER, Samples, family, family_curve, search

FLOPS = [6848266, 14326804, 27501854, 41668136, 58422578]


def drawn(seed: int, exits: int, total: int, costs: list[int]) -> tuple[Tensor, Tensor]:
    """Probabilities [exits, total, 10] that grow surer, and classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 10, (total,), generator=generator)
    logits = torch.randn(exits, total, 10, generator=generator)
    for k, plus in enumerate(torch.linspace(1, 3, exits)):
        logits[k, torch.arange(total), labels] += plus
    return logits.softmax(2), labels


def samples(probabilities: Tensor, labels: Tensor, costs: list[int]) -> Samples:
    confidences, predicted = probabilities.max(2)
    return Samples(
        confidences.double(), predicted == labels, torch.tensor(costs, dtype=torch.float64)
    )


@pytest.mark.parametrize(
    ("p", "thresholds", "exits", "accuracies", "costs"),
    [
        (1, [0.195443, 0.193802, 0.310506, NEVER], [1900, 95, 4, 0, 1], (35.75, 36.15),
         (7270590.5, 7180170.0)),
        (20, [0.426855, 0.458251, 0.479267, 0.468646], [400] * 5, (82.0, 82.9),
         (29753528.0, 30049076.0)),
    ],
)  # fmt: skip
def test_the_family_is_that_of_the_authors(
    p: int,
    thresholds: list[float],
    exits: list[int],
    accuracies: tuple[float, float],
    costs: tuple[float, float],
) -> None:
    """Vectors of kalviny's adaptive_inference.py on drawn scores, as measured."""
    probabilities, labels = drawn(7, 5, 4000, FLOPS)
    val = samples(probabilities[:, :2000], labels[:2000], FLOPS)
    test = samples(probabilities[:, 2000:], labels[2000:], FLOPS)
    found = family(val, p / 20)
    assert found == pytest.approx(thresholds, abs=5e-7)
    assert list(val.outcome(found).counts) == exits
    for part, accuracy, cost in zip((val, test), accuracies, costs, strict=True):
        assert 100 * part.outcome(found).accuracy == pytest.approx(accuracy, abs=1e-9)
        assert part.outcome(found).cost == pytest.approx(cost, rel=1e-6)


@settings(max_examples=25, deadline=None, database=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(20, 300), st.floats(0, 1))
def test_the_search_is_within_the_budget_and_not_worse_than_the_family(
    seed: int, exits: int, total: int, share: float
) -> None:
    costs = [10 + 7 * k * k for k in range(exits)]
    found = samples(*drawn(seed, exits, total, costs), costs)
    budget = costs[0] + share * (costs[-1] - costs[0])
    best = search(found, budget)
    assert best is not None
    outcome = found.outcome(best)
    assert outcome.cost <= budget
    for other in map(found.outcome, family_curve(found)):
        assert other.cost > budget or other.accuracy <= outcome.accuracy


def test_the_search_is_the_best_of_all_where_these_can_be_counted() -> None:
    """Two exits: every threshold is tried."""
    costs = [1, 3]
    found = samples(*drawn(3, 2, 60, costs), costs)
    for budget in (1.2, 1.9, 2.5, 3.0):
        tried = [(level,) for level in (*found.confidences[0].tolist(), NEVER)]
        allowed = [o for o in map(found.outcome, tried) if o.cost <= budget]
        best = search(found, budget)
        assert best is not None
        assert found.outcome(best).accuracy == max(each.accuracy for each in allowed)


def test_a_budget_below_the_first_exit_has_no_thresholds() -> None:
    found = samples(*drawn(1, 3, 50, [2, 3, 4]), [2, 3, 4])
    assert search(found, 1.9) is None
    assert search(found, 2.0) is not None

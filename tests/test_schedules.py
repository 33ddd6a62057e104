"""Learning rates at every step: the papers' formulas, and what the authors' code has measured."""

import math

import pytest

from archc.train.schedule import AnySchedule, Constant, Cosine, CyclicCosine, StepDecay

BATCHES = 7


def factors(schedule: AnySchedule, epochs: int, batches: int = BATCHES) -> list[float]:
    return [schedule.factor(step, epochs, batches) for step in range(epochs * batches)]


def test_a_cosine_is_its_formula_at_every_step() -> None:
    steps = 20 * BATCHES
    expected = [0.5 * (1 + math.cos(math.pi * step / steps)) for step in range(steps)]
    assert factors(Cosine(), 20) == expected
    assert expected[0] == 1


def test_steps_fall_at_whole_epochs() -> None:
    cifar = factors(StepDecay(at=(0.5, 0.75)), 300)
    assert cifar == [1.0] * 150 * BATCHES + [0.1] * 75 * BATCHES + [0.1**2] * 75 * BATCHES
    imagenet = factors(StepDecay(at=(0.33333, 0.66667)), 90)
    assert imagenet == [0.1 ** (step // (30 * BATCHES)) for step in range(90 * BATCHES)]
    odd = factors(StepDecay(at=(0.5,), gamma=0.2), 5)
    assert odd == [1.0] * 2 * BATCHES + [0.2] * 3 * BATCHES


def test_a_warm_up_grows_to_the_rate_and_the_rest_follows() -> None:
    warm = factors(Cosine(warmup=2), 10)
    assert warm[: 2 * BATCHES] == [(step + 1) / (2 * BATCHES) for step in range(2 * BATCHES)]
    assert warm[2 * BATCHES :] == factors(Cosine(), 8)
    assert factors(Constant(warmup=1), 3) == [(k + 1) / BATCHES for k in range(BATCHES)] + [1] * 14
    step = factors(StepDecay(at=(0.5,), warmup=1), 10)
    assert step[BATCHES:] == factors(StepDecay(at=(0.5,)), 10)[BATCHES:]


def paper(step: int, steps: int, cycles: int) -> float:
    """Equation 2 of Snapshot Ensembles for the step t = `step` + 1 of T."""
    length = math.ceil(steps / cycles)
    return 0.5 * (math.cos(math.pi * (step % length) / length) + 1)


@pytest.mark.parametrize(("epochs", "cycles"), [(300, 6), (200, 5), (40, 5), (90, 3), (6, 2)])
def test_cycles_are_the_formula_of_the_paper_where_they_divide(epochs: int, cycles: int) -> None:
    steps = epochs * BATCHES
    expected = [paper(step, steps, cycles) for step in range(steps)]
    assert factors(CyclicCosine(cycles=cycles), epochs) == expected


def released(epochs: int, cycles: int) -> list[float]:
    """What gaohuang/SnapshotEnsemble:train.lua computes, which counts the steps of an epoch from 1.

    Reference vectors name the epochs after which it is 0.
    """
    found = []
    for epoch in range(1, epochs + 1):
        length = epochs // cycles
        last = epoch > length * (cycles - 1)
        length = epochs - length * (cycles - 1) if last else length
        for step in range(1, BATCHES + 1):
            current = ((epoch - 1) % length) * BATCHES + step
            found.append(0.5 * (1 + math.cos(math.pi * current / (length * BATCHES))))
    return found


VECTORS = [
    (200, 5, [40, 80, 120, 160, 200]),
    (300, 6, [50, 100, 150, 200, 250, 300]),
    (164, 5, [32, 64, 96, 128, 144]),
    (90, 4, [22, 44, 66, 72]),
]


@pytest.mark.parametrize(("epochs", "cycles", "zeros"), VECTORS)
def test_the_released_code_is_known(epochs: int, cycles: int, zeros: list[int]) -> None:
    found = released(epochs, cycles)
    ends = [epoch for epoch in range(1, epochs + 1) if found[epoch * BATCHES - 1] < 1e-12]
    assert ends == zeros


@pytest.mark.parametrize(("epochs", "cycles", "zeros"), VECTORS[:2])
def test_cycles_are_those_of_the_released_code_a_step_later(
    epochs: int, cycles: int, zeros: list[int]
) -> None:
    schedule = CyclicCosine(cycles=cycles)
    assert schedule.cycle_ends(epochs, BATCHES) == tuple(epoch * BATCHES for epoch in zeros)
    ours, theirs = factors(schedule, epochs), released(epochs, cycles)
    for step in range(epochs * BATCHES - 1):
        if (step + 1) not in schedule.cycle_ends(epochs, BATCHES):
            assert ours[step + 1] == pytest.approx(theirs[step], abs=1e-12)


@pytest.mark.parametrize(("epochs", "cycles"), [(164, 5), (90, 4), (3, 2), (1, 3), (7, 7)])
def test_cycles_that_do_not_divide_are_whole_and_of_one_length(epochs: int, cycles: int) -> None:
    """Each starts at the full rate and goes down to the end; lengths differ by one step at most."""
    schedule = CyclicCosine(cycles=cycles)
    ends = schedule.cycle_ends(epochs, BATCHES)
    starts = (0, *ends[:-1])
    lengths = [end - start for start, end in zip(starts, ends, strict=True)]
    assert ends[-1] == epochs * BATCHES
    assert max(lengths) - min(lengths) <= 1
    found = factors(schedule, epochs)
    for start, end in zip(starts, ends, strict=True):
        assert found[start] == 1
        assert found[start:end] == factors(Cosine(), 1, end - start)


def test_cycles_come_after_the_warm_up() -> None:
    schedule = CyclicCosine(cycles=2, warmup=1)
    assert schedule.cycle_ends(5, BATCHES) == (3 * BATCHES, 5 * BATCHES)
    assert factors(schedule, 5)[BATCHES:] == factors(CyclicCosine(cycles=2), 4)

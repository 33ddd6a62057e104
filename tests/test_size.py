"""Symbolic sizes against the numbers they stand for."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.ops.size import Dim, Size, SizeError, product, windows

# A chain of windows and cuts, as (kernel, stride, padding, dilation).
LAYERS = st.lists(
    st.tuples(st.integers(1, 7), st.integers(1, 4), st.integers(0, 3), st.integers(1, 2)),
    max_size=6,
)
SHORT = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(0, 1), st.just(1)), max_size=3
)
FACTORS = st.sampled_from([1, 2, 3, 4, 32])
BOUND = 200


def chain(size: Dim, layers: list[tuple[int, int, int, int]]) -> Dim:
    for kernel, stride, padding, dilation in layers:
        size = windows(size, kernel, stride, (padding, padding), dilation)
    return size


@given(FACTORS, LAYERS)
def test_a_chain_of_windows_is_exact_for_every_value(
    factor: int, layers: list[tuple[int, int, int, int]]
) -> None:
    symbolic = chain(factor * Size("h"), layers)
    assert isinstance(symbolic, Size)
    for h in range(1, BOUND):
        assert symbolic.at(h) == chain(factor * h, layers)


@given(st.sampled_from([1, 2, 3]), SHORT, SHORT)
def test_normal_forms_are_equal_exactly_if_the_sizes_are(
    factor: int, first: list[tuple[int, int, int, int]], second: list[tuple[int, int, int, int]]
) -> None:
    a, b = chain(factor * Size("h"), first), chain(factor * Size("h"), second)
    assert isinstance(a, Size)
    assert isinstance(b, Size)
    assert (a == b) == all(a.at(h) == b.at(h) for h in range(1, BOUND))


@given(st.sampled_from([1, 2, 3]), SHORT, SHORT)
def test_a_difference_is_a_number_if_it_is_the_same_for_every_value(
    factor: int, first: list[tuple[int, int, int, int]], second: list[tuple[int, int, int, int]]
) -> None:
    a, b = chain(factor * Size("h"), first), chain(factor * Size("h"), second)
    assert isinstance(a, Size)
    assert isinstance(b, Size)
    differences = {a.at(h) - b.at(h) for h in range(1, BOUND)}
    if len(differences) == 1:
        assert {a - b} == differences
    else:
        with pytest.raises(SizeError, match="do not always differ by the same number"):
            a - b


@given(
    st.integers(1, 12), st.integers(-20, 20), st.integers(1, 12), st.integers(1, 12),
    st.integers(-9, 9),
)  # fmt: skip
def test_sums_and_quotients_are_exact(a: int, b: int, c: int, d: int, e: int) -> None:
    size = (a * Size("h") + b) // c
    for h in range(1, BOUND):
        value = (a * h + b) // c
        assert size.at(h) == value
        assert (size + e).at(h) == (e + size).at(h) == value + e
        assert (size - e).at(h) == value - e
        assert (size // d).at(h) == value // d


@given(st.integers(1, 12), st.integers(-20, 20), st.integers(1, 8), st.integers(1, 8))
def test_a_product_is_exact_or_refused(a: int, b: int, c: int, factor: int) -> None:
    size = (a * Size("h") + b) // c
    values = [factor * ((a * h + b) // c) for h in range(1, BOUND)]
    try:
        enlarged = size * factor
    except SizeError:
        steps = {after - before for before, after in pairwise(values)}
        assert len(steps) > 1, "refused although it is affine"
        return
    assert [enlarged.at(h) for h in range(1, BOUND)] == values


def test_the_error_of_a_product_names_the_factor_that_mends_it() -> None:
    halved = (Size("H") + 1) // 2
    with pytest.raises(SizeError, match=r"2 times `\(H \+ 1\) // 2` is not exact") as caught:
        halved * 2
    assert caught.value.help is not None
    assert "`2*H` where it is `H`" in caught.value.help
    assert (2 * Size("H") + 1) // 2 * 2 == 2 * Size("H")


@pytest.mark.parametrize("factor", [0, -1])
def test_a_size_is_never_multiplied_or_divided_away(factor: int) -> None:
    with pytest.raises(SizeError, match="is not a size"):
        Size("H") * factor
    with pytest.raises(SizeError, match="is not a size"):
        Size("H") // factor


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (Size("H"), "H"),
        (32 * Size("h"), "32*h"),
        (Size("H") - 3, "H - 3"),
        (Size("H") // 4, "H // 4"),
        ((3 * Size("H") + 1) // 2, "(3*H + 1) // 2"),
    ],
)
def test_a_size_reads_as_the_language_writes_it(size: Size, text: str) -> None:
    assert str(size) == text


def test_sizes_of_different_symbols_differ() -> None:
    assert Size("H") != Size("W")


def test_a_product_of_sizes_is_known_only_for_numbers() -> None:
    assert product((2, 3, 4)) == 24
    assert product(()) == 1
    assert product((2, Size("H"))) is None

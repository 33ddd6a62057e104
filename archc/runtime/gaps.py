"""Lists of tensors of which some are not there: operators of torch take no lists with None."""

from collections.abc import Iterable

from torch import Tensor


def filled(tensors: Iterable[Tensor | None], like: Tensor) -> list[Tensor]:
    """The tensors, with one of no elements in the place of each that is not there."""
    return [like.new_empty(0) if each is None else each for each in tensors]


def with_gaps(tensors: Iterable[Tensor]) -> list[Tensor | None]:
    """The tensors that there are, None in the places of the others."""
    return [each if each.numel() else None for each in tensors]

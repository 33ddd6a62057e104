"""Pools over every small size: the sizes are torch's, and so are the refusals."""

from itertools import product
from typing import Any

import pytest
import torch
from torch.nn import functional

from archc.ops.op import OpError, TensorType
from archc.ops.pooling import AvgPool, MaxPool, Pool
from archc.ops.size import Size

SETTINGS = list(product(range(1, 6), range(1, 5), range(1, 5), range(3), (False, True)))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("cls", [MaxPool, AvgPool])
def test_a_pool_fits_where_it_fits_in_torch(cls: type[Pool], axes: int) -> None:
    pool: Any = getattr(functional, f"{cls.name}{axes}d")
    for size, kernel, stride, padding, ceil in SETTINGS:
        op = cls(kernel=kernel, stride=stride, padding=padding, ceil_mode=ceil)
        shape = (2, *(size,) * axes)
        try:
            theirs = tuple(
                pool(torch.zeros(1, *shape), kernel, stride, padding, ceil_mode=ceil).shape
            )
        except RuntimeError:
            with pytest.raises(OpError):
                op.infer(TensorType(shape))
        else:
            assert (1, *op.infer(TensorType(shape)).shape) == theirs, (op, size)


def test_a_symbolic_size_gives_the_number_of_windows_for_every_number() -> None:
    for size, kernel, stride, padding, ceil in SETTINGS:
        if 2 * padding > kernel:
            continue
        op = MaxPool(kernel=kernel, stride=stride, padding=padding, ceil_mode=ceil)
        (symbolic,) = op.infer(TensorType((2, Size("h")))).spatial
        assert isinstance(symbolic, Size)
        try:
            (number,) = op.infer(TensorType((2, size))).spatial
        except OpError:
            assert symbolic.at(size) < 1
        else:
            assert symbolic.at(size) == number

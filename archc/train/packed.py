"""Binary weights in files: a bit for each sign, and a scale for each filter.

An XNOR-Net reads of a weight its signs and the mean size of each filter, and nothing else, so the
sizes of the single weights need not be kept. Unpacked, they are nearly equal, and multiples of one
power of two whose sums are exact in float32: the mean is then what it was, to the last bit.
"""

import json
from collections.abc import Collection, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from archc.diagnostics import error

PACKED = "packed"
"""What the metadata of a file call the packed weights: JSON of their shapes by their keys."""

_SIGNS, _SCALES, _ZEROS = "signs", "scales", "zeros"
_MANTISSA = 24
"""Bits of float32: sums of multiples of q are exact below q * 2**24."""


def packed(
    state: Mapping[str, Tensor], binary: Collection[str]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A state_dict in which each of the `binary` weights `K` [N, ...] is `K.signs`, uint8
    [N, bytes], and `K.scales`, float32 [N]; and the metadata that say so.

    Weights that are exactly 0 have no sign: their places in the flat tensor are `K.zeros`, int32.
    Raises ArchError where a weight is no finite number.
    """
    found: dict[str, Tensor] = {}
    for key, weight in state.items():
        if key not in binary:
            found[key] = weight
            continue
        if not bool(weight.isfinite().all()):
            raise error("E1042", f"some weights of `{key}` are no finite numbers")
        found[f"{key}.{_SIGNS}"] = _bits(weight.flatten(1) > 0)
        found[f"{key}.{_SCALES}"] = weight.float().abs().mean(tuple(range(1, weight.dim())))
        if bool((zeros := weight.flatten() == 0).any()):
            found[f"{key}.{_ZEROS}"] = zeros.nonzero()[:, 0].to(torch.int32)
    shapes = {key: list(weight.shape) for key, weight in state.items() if key in binary}
    return found, {PACKED: json.dumps(shapes)}


def unpacked(state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> dict[str, Tensor]:
    """The state_dict with each packed weight as its signs times the scales of the filters."""
    shapes: dict[str, list[int]] = json.loads(metadata.get(PACKED, "{}"))
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        name, _, part = key.rpartition(".")
        if name not in shapes:
            found[key] = value
        elif part == _SIGNS:
            signs = _signs(value, shapes[name])
            if (zeros := state.get(f"{name}.{_ZEROS}")) is not None:
                signs.view(-1)[zeros.long()] = 0
            sizes = _sizes(signs != 0, state[f"{name}.{_SCALES}"])
            found[name] = (signs * sizes).reshape(shapes[name])
    return found


def _bits(positive: Tensor) -> Tensor:
    """bool [N, n] as uint8 [N, ceil(n / 8)], the first in the lowest bit."""
    padded = F.pad(positive.to(torch.uint8), (0, -positive.shape[1] % 8))
    places = 2 ** torch.arange(8, dtype=torch.uint8)
    return (padded.reshape(len(padded), -1, 8) * places).sum(2, dtype=torch.uint8)


def _signs(bits: Tensor, shape: list[int]) -> Tensor:
    """float32 [N, n] of 1 and -1."""
    each = bits[:, :, None] >> torch.arange(8, dtype=torch.uint8) & 1
    return each.flatten(1)[:, : torch.Size(shape[1:]).numel()].float() * 2 - 1


def _sizes(present: Tensor, means: Tensor) -> Tensor:
    """Sizes float32 [N, n] of the weights that are `present`, such that the means of the rows, in
    float32, are `means` [N]: the sum of a row is a whole number of quanta, shared out evenly."""
    count, width = present.sum(1), present.shape[1]
    quantum = 2.0 ** (torch.frexp(means.double() * width).exponent - _MANTISSA).double()
    near = (means.double() * width / quantum).round()
    total = near
    for off in (2, -2, 1, -1, 0):  # the last that fits stays: the nearest
        sums = ((near + off) * quantum).float()
        total = torch.where(sums / width == means, near + off, total)
    each = (total / count.clamp_min(1)).floor()
    rest = total - each * count
    place = present.cumsum(1) - 1
    return ((each[:, None] + (place < rest[:, None])) * quantum[:, None]).float()

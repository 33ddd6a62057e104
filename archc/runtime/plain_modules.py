"""What the runtime asks of the plain modules that it stands for."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from archc.runtime.surroundings import is_forward_mode, is_traced, is_transformed
from archc.runtime.untouched import is_known_torch

_KNOWN = {
    "cpu": (torch.float64, torch.float32, torch.bfloat16),
    "cuda": (torch.float64, torch.float32, torch.bfloat16, torch.float16),
}
"""Where dense blocks and what closes them run in the place of modules."""


def differentiates(x: Tensor, *modules: nn.Module) -> bool:
    """Whether a backward pass may follow that the runtime knows: of torch's own, on a device and in
    a dtype of `_KNOWN`; not of an export, a transform of torch.func or forward-mode
    differentiation, nor where torch.fx traces, which has no tensors."""
    if not torch.is_grad_enabled() or torch.compiler.is_exporting() or not isinstance(x, Tensor):
        return False
    if is_transformed() or is_traced() or is_forward_mode() or not x.numel():
        return False
    kinds = _KNOWN.get(x.device.type, ())
    if x.dtype not in kinds or x.layout != torch.strided or compute_dtype(x) not in kinds:
        return False
    trains = x.requires_grad or any(p.requires_grad for m in modules for p in m.parameters())
    return trains and is_known_torch()


def is_same_size_conv(module: Any) -> bool:
    """Whether a convolution pads with zeros, and gives images as large as it gets."""
    if isinstance(module.padding, str):
        return False
    axes = zip(module.kernel_size, module.dilation, module.padding, strict=True)
    same = all(2 * padding == dilation * (kernel - 1) for kernel, dilation, padding in axes)
    return same and set(module.stride) == {1} and module.padding_mode == "zeros"


def normalises_by_batch(norm: Any) -> bool:
    return bool(norm.training) or norm.running_mean is None


def compute_dtype(x: Tensor) -> torch.dtype:
    """What a convolution of x computes in, here and now."""
    kind = x.device.type
    if torch.is_autocast_enabled(kind) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return x.dtype


def update_running(norms: Iterable[tuple[Any, Tensor]], count: int) -> None:
    """Move running statistics to the batch's, as nn.BatchNorm does in its forward.

    Beside each norm are its moments [2, C]: mean and biased variance over `count` pixels.
    """
    for norm, (mean, variance) in norms:
        if not norm.training or not norm.track_running_stats:
            continue
        step = norm.momentum or 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
            if norm.momentum is None:  # the average of all batches
                step = norm.num_batches_tracked.to(norm.running_mean.dtype).reciprocal()
        unbiased = variance * (count / max(count - 1, 1))
        for running, batch in ((norm.running_mean, mean), (norm.running_var, unbiased)):
            running.lerp_(batch.to(running.dtype), step)

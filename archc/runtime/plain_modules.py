"""What the runtime asks of the plain modules that it stands for."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from archc.runtime.surroundings import is_traced, is_transformed


def differentiates(x: Tensor, *modules: nn.Module) -> bool:
    """Whether a backward pass may follow; not while exporting, nor under functorch's transforms,
    nor where torch.fx traces, which has no tensors."""
    if not torch.is_grad_enabled() or torch.compiler.is_exporting() or not isinstance(x, Tensor):
        return False
    if is_transformed() or is_traced() or not x.numel():
        return False
    return x.requires_grad or any(p.requires_grad for m in modules for p in m.parameters())


def has_hooks(module: nn.Module) -> bool:
    """Whether calling the module does more than its class says."""
    hooks = (
        module._forward_hooks,
        module._forward_pre_hooks,
        module._backward_hooks,
        module._backward_pre_hooks,
    )
    return any(len(group) > 0 for group in hooks) or "forward" in vars(module)


def is_batch_norm(module: Any) -> bool:
    """nn.BatchNorm1d to 3d; not SyncBatchNorm, nor a class that computes something else."""
    return getattr(type(module), "forward", None) is nn.BatchNorm2d.forward


def is_same_size_conv(module: Any) -> bool:
    """nn.Conv1d to 3d that pads with zeros, and gives images as large as it gets."""
    forwards = (nn.Conv1d.forward, nn.Conv2d.forward, nn.Conv3d.forward)
    if getattr(type(module), "forward", None) not in forwards or isinstance(module.padding, str):
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

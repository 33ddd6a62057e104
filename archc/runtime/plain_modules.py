"""What the runtime asks of the plain modules that it stands for."""

from typing import Any

import torch
from torch import Tensor, nn


def differentiates(x: Tensor, *modules: nn.Module) -> bool:
    """Whether a backward pass may follow; not while exporting, nor under functorch's transforms."""
    if not torch.is_grad_enabled() or torch.compiler.is_exporting() or not x.numel():
        return False
    if torch._C._are_functorch_transforms_active():
        return False
    if not torch.compiler.is_compiling() and torch._C._is_tracing():
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
    """nn.Conv1d to 3d with stride 1 and zeros around the image."""
    forwards = (nn.Conv1d.forward, nn.Conv2d.forward, nn.Conv3d.forward)
    if getattr(type(module), "forward", None) not in forwards or isinstance(module.padding, str):
        return False
    return module.padding_mode == "zeros" and all(step == 1 for step in module.stride)


def normalises_by_batch(norm: Any) -> bool:
    return bool(norm.training) or norm.running_mean is None


def compute_dtype(x: Tensor) -> torch.dtype:
    """What a convolution of x computes in, here and now."""
    kind = x.device.type
    if torch.is_autocast_enabled(kind) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return x.dtype


def update_running(norm: Any, moments: Tensor) -> None:
    """Move a norm's running statistics to the batch's, as nn.BatchNorm does in its forward.

    `moments` are mean, biased and unbiased variance of its channels.
    """
    if not (norm.training and norm.track_running_stats):
        return
    norm.num_batches_tracked.add_(1)
    mean, variance = moments[0].to(norm.running_mean.dtype), moments[2].to(norm.running_var.dtype)
    weight = norm.momentum
    if weight is None:
        weight = (1 / norm.num_batches_tracked).to(mean.dtype)
    norm.running_mean.lerp_(mean, weight)
    norm.running_var.lerp_(variance, weight)

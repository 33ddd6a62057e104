"""What a training minimises: losses of several exits, and the sparsity of scales."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archc.diagnostics import error
from archc.train.recipe import Sparsity

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def exits_of(output: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    """The logits [N, classes] of each exit of a net; one without exits has its answer alone."""
    return [output] if isinstance(output, Tensor) else output


def loss_sum(outputs: Sequence[Tensor], targets: Tensor, weights: Sequence[float]) -> Tensor:
    """Sum over images and exits of weight * cross entropy; `targets` are classes [N] or
    probabilities [N, classes], and no `weights` are ones."""
    losses = [F.cross_entropy(each, targets, reduction="sum") for each in outputs]
    weighted = zip(weights or [1.0] * len(losses), losses, strict=True)
    return torch.stack([weight * loss for weight, loss in weighted]).sum()


def scales_of(net: nn.Module, sparsity: Sparsity | None) -> list[nn.Parameter]:
    """The scales (gamma) that the sparsity term is of. Raises ArchError where there are none."""
    if sparsity is None:
        return []
    norms = {
        name: module.weight
        for name, module in net.named_modules()
        if isinstance(module, BATCH_NORMS) and module.weight is not None
    }
    found = [scale for name, scale in norms.items() if fnmatchcase(name, sparsity.scales)]
    if not found:
        known = f"its batch norms are {', '.join(list(norms)[:8])}" if norms else "it has none"
        raise error("E1003", f"no batch norm of the net is called `{sparsity.scales}`", help=known)
    return found


def add_sparsity(scales: Sequence[nn.Parameter], strength: float) -> None:
    """Add the subgradient of strength * sum |gamma|, which is 0 at 0, to the gradients.

    As in the authors' code it is a part of the gradient: momentum and weight decay act on it, too.
    """
    for scale in scales:
        if scale.grad is not None:
            scale.grad.add_(scale.detach().sign(), alpha=strength)


def set_scales(net: nn.Module, value: float) -> None:
    """Set all scales of batch norms."""
    for module in net.modules():
        if isinstance(module, BATCH_NORMS) and module.weight is not None:
            nn.init.constant_(module.weight, value)

"""Where a training left the finite numbers."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from archc.diagnostics import ArchError, error
from archc.train.losses import exits_of


def diverged(
    loss: float, epoch: int, step: int, lr: float, net: nn.Module, images: Tensor
) -> ArchError:
    """What to say of a loss that is not finite, with the first tensor that is not."""
    return error(
        "E1005",
        f"the loss is {loss} in epoch {epoch}, step {step}: training has diverged",
        notes=[f"{first}: the first that is not finite" for first in _not_finite(net, images)],
        help=f"a lower learning rate than {lr:g}, as `--lr {lr / 10:g}`; what was saved before "
        "stays as it was",
    )


def _not_finite(net: nn.Module, images: Tensor) -> Iterator[str]:
    """The first tensor of the images, the weights, and the results of modules, if there is one."""
    if not images.isfinite().all():
        yield "the images"
        return
    for name, parameter in net.named_parameters():
        if not parameter.isfinite().all():
            yield f"the weight `{name}`"
            return
    found: list[str] = []

    def look(name: str, output: Any) -> None:
        tensors = exits_of(output) if isinstance(output, Tensor | list | tuple) else []
        if not all(each.isfinite().all() for each in tensors if isinstance(each, Tensor)):
            found.append(name)

    with ExitStack() as stack, torch.no_grad():
        for name, module in net.named_modules():
            hook = module.register_forward_hook(lambda _m, _x, y, name=name: look(name, y))
            stack.callback(hook.remove)
        net(images)
    yield from (f"what `{name}` gives" for name in found[:1] if name)

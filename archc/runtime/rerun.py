"""Blocks in a row that the backward pass runs again, each from its input."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from archc.runtime.recipes import RECIPES, rebuilds


def rerun(modules: Iterable[nn.Module], x: Tensor) -> Tensor:
    """`x` through modules in a row; the backward pass keeps the input of each and runs it again.

    Running statistics move once, in the forward pass.
    """
    if not rebuilds(x):
        for module in modules:
            x = module(x)
        return x
    token = RECIPES.set(None)
    try:
        for module in modules:
            stay = StatisticsStay(module)
            x = checkpoint(module, x, use_reentrant=False, context_fn=stay.contexts)
    finally:
        RECIPES.reset(token)
    return x


class StatisticsStay(AbstractContextManager[None]):
    """A context, to be entered any number of times, in which batch norms leave their running
    statistics as they are."""

    def __init__(self, module: nn.Module) -> None:
        norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
        self.norms = [each for each in module.modules() if isinstance(each, norms)]
        self.held: list[tuple[float | None, Tensor | None]] = []

    def contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """Those of the forward pass and of its repetition."""
        return nullcontext(), self

    def __enter__(self) -> None:
        self.held = [(norm.momentum, norm.num_batches_tracked) for norm in self.norms]
        for norm in self.norms:
            tracked = norm.num_batches_tracked
            norm.num_batches_tracked = None if tracked is None else tracked.clone()
            norm.momentum = 0.0

    def __exit__(self, *_: object) -> None:
        for norm, (momentum, tracked) in zip(self.norms, self.held, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked

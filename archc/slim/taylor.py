"""Scores of channels by what a run's training images say of them."""

from itertools import islice

import torch
from torch import nn

from archc.channels.analysis import norms_of
from archc.channels.selection import Scores
from archc.diagnostics import error
from archc.ir.graph import Path
from archc.slim.slimming import Wide
from archc.train.data.augmentation import Augmentation
from archc.train.losses import exits_of, loss_sum

BATCH, BATCHES = 64, 32
"""Images of a batch, and batches."""


def taylor_scores(wide: Wide, seed: int = 0) -> Scores:
    """How much the loss changes, to first order, if the scale of a channel is taken for zero:
    (scale * gradient)^2, the mean over batches (Molchanov et al., 2019, equation 8).

    The net is in evaluation, the loss that of the run's recipe without its sparsity term, a mean
    over images; these are at most BATCHES batches of training images without augmentation, drawn
    by the seed. Raises ArchError for what is no run, and where its data is not here.
    """
    if wide.run is None:
        raise error(
            "E0844",
            "the score `taylor` needs images, which a file of weights has none of",
            help="slim the folder of a run of `archc train`",
        )
    data, recipe = wide.run.data(), wide.run.config.recipe
    net = wide.net().eval()
    scales = _scales(net, wide)
    found = {path: torch.zeros(len(scale), dtype=torch.float64) for path, scale in scales.items()}
    epoch = data.epoch(0, batch_size=BATCH, seed=seed, augmentation=Augmentation())
    for batch in islice(epoch, BATCHES):
        outputs = exits_of(net(wide.run.adapt(batch.images)))
        loss = loss_sum(outputs, batch.labels, recipe.exit_weights) / len(batch.labels)
        slopes = torch.autograd.grad(loss, list(scales.values()), allow_unused=True)
        for (path, scale), slope in zip(scales.items(), slopes, strict=True):
            if slope is not None:
                found[path] += (scale.detach().double() * slope.double()).square()
    batches = min(BATCHES, data.steps(BATCH))
    return {path: (total / batches).tolist() for path, total in found.items()}


def _scales(net: nn.Module, wide: Wide) -> dict[Path, nn.Parameter]:
    """The scales of the batch norms by their paths."""
    paths = dict.fromkeys(node.layer.path for node in norms_of(wide.graph))
    return {path: net.get_parameter(".".join((*path, "weight"))) for path in paths if path}

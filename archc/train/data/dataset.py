"""A data set: images and their classes, and the batches that a training and a test take of it.

Small sets lie in a device's memory as bytes. Which images a step sees is a function of the seed and
the epoch alone, whatever the number of processes and workers; how they are changed, one of the seed
and the step.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

from archc.diagnostics import error
from archc.train.data.augmentation import Augmentation, Draw, erased, mixed, moved, targets_of

ORDERS, STEPS = 0, 1
"""What a generator is for: the order of an epoch, or the numbers of a step."""


@dataclass(frozen=True)
class Batch:
    """Images float32 [N, channels, size, size], mean 0 and deviation 1; classes int64 [N].

    `targets` are the classes, or probabilities float32 [N, classes] where these are mixed or
    smoothed: `F.cross_entropy` takes both.
    """

    images: Tensor
    labels: Tensor
    targets: Tensor


class Split(Protocol):
    """Images of one size, with their classes int64 [N]."""

    @property
    def labels(self) -> Tensor: ...

    def read(
        self, batches: Sequence[Tensor], augmentation: Augmentation | None, key: tuple[int, int]
    ) -> Iterator[Tensor]:
        """Images uint8 [n, C, H, W] of each batch of indices, on the CPU or the labels' device.

        `key` (seed, epoch) is what the changes of single images depend on, beside their index.
        """

    def taken(self, indices: Tensor) -> Self:
        """Those of the images only, in this order."""

    def to(self, device: torch.device) -> Self:
        """The same, on a device if it lies in memory."""


@dataclass(frozen=True)
class InMemory:
    """A split that lies in memory: images uint8 [N, C, H, W], classes int64 [N]."""

    images: Tensor
    labels: Tensor

    def read(
        self, batches: Sequence[Tensor], augmentation: Augmentation | None, key: tuple[int, int]
    ) -> Iterator[Tensor]:
        if augmentation is not None and (
            augmentation.policy != "none" or augmentation.resized_crop
        ):
            raise error(
                "E1023",
                "`policy` and `resized_crop` are for images that are read from a folder",
                help="`crop_padding`, `flip`, `cutout` and `erasing` are for all",
            )
        return (self.images[batch.to(self.images.device)] for batch in batches)

    def taken(self, indices: Tensor) -> "InMemory":
        return InMemory(self.images[indices], self.labels[indices])

    def to(self, device: torch.device) -> "InMemory":
        return InMemory(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """Images of `class_names`, to train on, to choose by (None for none), and to test on.

    `mean` and `deviation` [channels] normalise pixels from 0 to 255; images are square, `size`
    pixels along a side. Without `val` whoever must choose can only choose by `test`, and say so.
    """

    name: str
    class_names: tuple[str, ...]
    channels: int
    size: int
    mean: Tensor
    deviation: Tensor
    train: Split
    val: Split | None
    test: Split

    @property
    def classes(self) -> int:
        return len(self.class_names)

    @property
    def device(self) -> torch.device:
        return self.mean.device

    def split(self, name: str) -> Split:
        """`train`, `val` or `test`. Raises ArchError for a `val` that there is not."""
        found = {"train": self.train, "val": self.val, "test": self.test}[name]
        if found is None:
            raise error(
                "E1023",
                f"`{self.name}` has no images to choose by",
                help="`--split test` and `--split train` take others; `archc train --val 0.1` "
                "holds some out",
            )
        return found

    def to(self, device: torch.device) -> "Dataset":
        """The same data; what lies in memory lies in the device's."""
        return replace(
            self,
            mean=self.mean.to(device),
            deviation=self.deviation.to(device),
            train=self.train.to(device),
            val=None if self.val is None else self.val.to(device),
            test=self.test.to(device),
        )

    def steps(self, batch_size: int) -> int:
        """Steps of an epoch, with at most `batch_size` images each."""
        return math.ceil(len(self.train.labels) / batch_size)

    def epoch(
        self,
        epoch: int,
        *,
        batch_size: int,
        seed: int,
        augmentation: Augmentation,
        rank: int = 0,
        ranks: int = 1,
        first: int = 0,
    ) -> Iterator[Batch]:
        """The batches of an epoch (from 0), from its step `first` on.

        Every image is in one of them, and their sizes differ by at most one. Of several processes
        each takes every `ranks`-th image of a batch of `batch_size`. Mixing pairs images of one
        process; all else is the same for any number of them.
        """
        steps = self.steps(batch_size)
        order = torch.from_numpy(
            _generator(seed, ORDERS, epoch).permutation(len(self.train.labels))
        )
        batches = order.tensor_split(steps)[first:]
        mine = slice(rank, None, ranks)
        shares = [batch[mine] for batch in batches]
        read = self.train.read(shares, augmentation, (seed, epoch))
        numbered = enumerate(zip(batches, shares, read, strict=True), start=epoch * steps + first)
        for step, (batch, share, images) in numbered:
            draw = Draw(_generator(seed, STEPS, step), len(batch), mine, self.device)
            labels = self.train.labels[share.to(self.train.labels.device)].to(self.device)
            yield self._changed(
                images.to(self.device, non_blocking=True), labels, augmentation, draw
            )

    def _changed(
        self, images: Tensor, labels: Tensor, augmentation: Augmentation, draw: Draw
    ) -> Batch:
        images = erased(self.normalised(moved(images, augmentation, draw)), augmentation, draw)
        targets = targets_of(labels, self.classes, augmentation)
        images, targets = mixed(images, targets, augmentation, draw)
        return Batch(images, labels, targets)

    def batches(
        self, split: Split, batch_size: int, rank: int = 0, ranks: int = 1
    ) -> Iterator[Batch]:
        """A split as it is, in its order; of several processes each takes every `ranks`-th."""
        indices = torch.arange(rank, len(split.labels), ranks)
        parts = torch.split(indices, batch_size) if len(indices) else ()
        for part, images in zip(parts, split.read(parts, None, (0, 0)), strict=True):
            labels = split.labels[part.to(split.labels.device)].to(self.device)
            yield Batch(self.normalised(images.to(self.device)), labels, labels)

    def normalised(self, images: Tensor) -> Tensor:
        """Pixels from 0 to 255 as float32, with mean 0 and deviation 1."""
        floats = images.to(torch.float32)
        return floats.sub_(self.mean[:, None, None]).div_(self.deviation[:, None, None])


def _generator(seed: int, purpose: int, number: int) -> np.random.Generator:
    return np.random.default_rng((seed, purpose, number))


def statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation float32 [C] of the pixels of images uint8 [N, C, H, W].

    A channel that is the same everywhere has the deviation 1.
    """
    total = torch.zeros(images.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(total)
    for part in torch.split(images, 4096):
        wide = part.to(torch.float64)
        total += wide.sum((0, 2, 3))
        squares += wide.square().sum((0, 2, 3))
    pixels = images.numel() / images.shape[1]
    mean = total / pixels
    deviation = (squares / pixels - mean.square()).clamp(min=0).sqrt()
    deviation[deviation == 0] = 1
    return mean.float(), deviation.float()

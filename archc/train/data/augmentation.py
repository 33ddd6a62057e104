"""Augmentation: a batch of images and their classes, changed at random, on whatever device it is.

All that is random comes from a `Draw`, which is drawn for all images of a step: so it is the same
on any device, and for any number of processes that share a step.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from msgspec import Meta, Struct
from torch import Tensor
from torch.nn import functional as F

Pixels = Annotated[int, Meta(ge=0, le=1024)]
Share = Annotated[float, Meta(ge=0, le=1)]
Concentration = Annotated[float, Meta(ge=0, le=1000)]


class Augmentation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done to training images, in this order; by default nothing.

    `resized_crop` and `policy` are done image by image, for folders of images alone, all else to
    whole batches. A black pixel is 0 before the normalisation; what `cutout` and `erasing` remove
    is 0 after it, which is the mean of the training images.
    """

    resized_crop: Share = 0
    """The least share of an image's area that is cropped and resized (Szegedy et al., 2015: 0.08);
    0 for the whole image."""
    policy: Literal["none", "rand_augment", "trivial_augment"] = "none"
    """torchvision's RandAugment (Cubuk et al., 2020) or TrivialAugmentWide (Müller and Hutter,
    2021)."""
    crop_padding: Pixels = 0
    """So many black pixels are added on each side, and the image is cropped to its size."""
    flip: bool = False
    """Half of the images are mirrored, left to right."""
    cutout: Pixels = 0
    """The side of a square that is removed; its centre is any pixel (DeVries and Taylor, 2017)."""
    erasing: Share = 0
    """The share of images of which a rectangle is removed (Zhong et al., 2020)."""
    mixup: Concentration = 0
    """Images and targets are mixed in pairs, by a share of Beta(mixup, mixup) (Zhang et al.,
    2018)."""
    cutmix: Concentration = 0
    """A rectangle comes from another image; its area is a share of Beta(cutmix, cutmix) (Yun et
    al., 2019). With `mixup` beside it each step takes one of both."""
    label_smoothing: Annotated[float, Meta(ge=0, lt=1)] = 0
    """The share of a target that is spread over all classes (Szegedy et al., 2016)."""

    @property
    def mixes_targets(self) -> bool:
        """Whether targets are probabilities, and not classes."""
        return bool(self.mixup or self.cutmix or self.label_smoothing)


@dataclass(frozen=True)
class Draw:
    """Random numbers for the `count` images of a step, of which `mine` are this process's.

    Tensors are [kinds, images of mine], on `device`.
    """

    generator: np.random.Generator
    count: int
    mine: slice
    device: torch.device

    def integers(self, kinds: int, high: int) -> Tensor:
        """From 0 to `high` - 1."""
        return self._taken(self.generator.integers(0, high, (kinds, self.count)))

    def uniform(self, kinds: int, low: float = 0, high: float = 1) -> Tensor:
        """float32, from `low` to `high`; below 1 where these are 0 and 1."""
        numbers = self.generator.random((kinds, self.count), dtype=np.float32)
        return self._taken(numbers) * (high - low) + low

    def _taken(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers[:, self.mine].copy()).to(self.device)


def moved(images: Tensor, augmentation: Augmentation, draw: Draw) -> Tensor:
    """Crop and mirror images [N, C, H, W] of any type; what moves in is 0."""
    padding, (height, width) = augmentation.crop_padding, images.shape[2:]
    if not (padding or augmentation.flip):
        return images
    down, right = draw.integers(2, 2 * padding + 1)
    rows = torch.arange(height, device=images.device) + down[:, None]
    columns = torch.arange(width, device=images.device) + right[:, None]
    if augmentation.flip:
        (mirrored,) = draw.integers(1, 2).bool()
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    padded = F.pad(images, (padding,) * 4)
    pixels = (rows[:, :, None] * padded.shape[3] + columns[:, None]).flatten(1)
    taken = pixels[:, None].expand(-1, images.shape[1], -1)
    return padded.flatten(2).gather(2, taken).view(images.shape)


def erased(images: Tensor, augmentation: Augmentation, draw: Draw) -> Tensor:
    """Remove what `cutout` and `erasing` ask for from images [N, C, H, W]: it becomes 0."""
    height, width = images.shape[2:]
    if side := augmentation.cutout:
        top, left = draw.integers(1, height)[0], draw.integers(1, width)[0]
        corner = torch.stack([top - side // 2, left - side // 2])
        images = images.masked_fill(_inside(images, corner, torch.full_like(corner, side)), 0)
    if augmentation.erasing:
        (chance,) = draw.uniform(1)
        corner, sides = _rectangles(height, width, draw)
        chosen = (
            _inside(images, corner, sides) & (chance < augmentation.erasing)[:, None, None, None]
        )
        images = images.masked_fill(chosen, 0)
    return images


ATTEMPTS = 10
"""Rectangles that are drawn for an image; where none fits, the image stays as it is."""


def _rectangles(height: int, width: int, draw: Draw) -> tuple[Tensor, Tensor]:
    """Upper left corners and sides, each [2, N]: areas from 0.02 to 0.33 of the image, sides in a
    ratio from 0.3 to 1 / 0.3, as torchvision's RandomErasing. Sides are 0 where none fits."""
    area = draw.uniform(ATTEMPTS, 0.02, 0.33) * (height * width)
    ratio = draw.uniform(ATTEMPTS, math.log(0.3), -math.log(0.3)).exp()
    sides = torch.stack([(area * ratio).sqrt().round(), (area / ratio).sqrt().round()]).long()
    limits = torch.tensor([height, width], device=sides.device)
    fits = (sides < limits[:, None, None]).all(0)
    first = fits.int().argmax(0)
    sides = sides[:, first, torch.arange(len(first), device=sides.device)] * fits.any(0)
    corner = draw.uniform(2) * (limits[:, None] - sides + 1)
    return corner.long(), sides


def _inside(images: Tensor, corner: Tensor, sides: Tensor) -> Tensor:
    """[N, 1, H, W]: which pixels are in the rectangles, given by [2, N] each."""
    rows, columns = (torch.arange(size, device=images.device) for size in images.shape[2:])
    across = [
        (axis >= start[:, None]) & (axis < (start + side)[:, None])
        for axis, start, side in zip((rows, columns), corner, sides, strict=True)
    ]
    inside: Tensor = across[0][:, None, :, None] & across[1][:, None, None]
    return inside


def targets_of(labels: Tensor, classes: int, augmentation: Augmentation) -> Tensor:
    """Probabilities [N, classes], with the label smoothing; the labels [N] where nothing mixes."""
    if not augmentation.mixes_targets:
        return labels
    smoothing = augmentation.label_smoothing
    targets: Tensor = F.one_hot(labels, classes) * (1 - smoothing) + smoothing / classes
    return targets


def mixed(
    images: Tensor, targets: Tensor, augmentation: Augmentation, draw: Draw
) -> tuple[Tensor, Tensor]:
    """Each image [N, C, H, W] and its target [N, classes] mixed with the one before it.

    One share a step, for all images, as in both papers. The batch's own order is random.
    """
    mixup, cutmix, generator = augmentation.mixup, augmentation.cutmix, draw.generator
    if mixup and cutmix:
        chance = generator.random() < 0.5
        mixup, cutmix = (mixup, 0.0) if chance else (0.0, cutmix)
    if not (mixup or cutmix):
        return images, targets
    share = float(generator.beta(mixup or cutmix, mixup or cutmix))
    others = images.roll(1, 0)
    if mixup:
        images = images * share + others * (1 - share)
    else:
        images, share = _pasted(images, others, share, generator)
    return images, targets * share + targets.roll(1, 0) * (1 - share)


def _pasted(
    images: Tensor, others: Tensor, share: float, generator: np.random.Generator
) -> tuple[Tensor, float]:
    """A rectangle of about 1 - `share` of the area comes from the others; what share then stays.

    Its centre is any pixel; what would stand over an edge is cut off.
    """
    height, width = images.shape[2:]
    spans = []
    for size in (height, width):
        half = int(size * math.sqrt(1 - share) / 2)
        centre = int(generator.integers(0, size))
        spans.append(slice(max(centre - half, 0), min(centre + half, size)))
    rows, columns = spans
    images = images.clone()
    images[:, :, rows, columns] = others[:, :, rows, columns]
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return images, 1 - area / (height * width)

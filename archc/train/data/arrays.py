"""A data set as arrays of bytes, and the split of what it has."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from msgspec import Struct
from sklearn.model_selection import train_test_split

from archc.diagnostics import ArchError, error
from archc.train.data.dataset import Dataset, InMemory, Split, statistics

S = TypeVar("S", bound=Split)

SIZE = 224
"""Pixels along a side of the images that a folder gives, by default."""


class Origin(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which data set, as the command line has it: `name` is `NAME` or `NAME:PATH`.

    `folder` is where sets of several files are, if the name has no path. `val` training images are
    held out, or the share `val` of them if that is below 1. `size` is the side in pixels of what a
    folder of images gives, and `workers` how many processes read it.
    """

    name: str
    folder: str = "data"
    val: float = 0
    size: int = SIZE
    workers: int = 2
    download: bool = False

    @property
    def kind(self) -> str:
        """What there is a reader for: `fashion_mnist` is `fashion-mnist`."""
        return self.name.partition(":")[0].replace("_", "-")

    @property
    def place(self) -> Path:
        """The path of the name, or else the folder."""
        return Path(self.name.partition(":")[2] or self.folder).expanduser()

    def missing(self, what: str, help: str) -> ArchError:
        return error("E1020", f"`{self.name}` is not here: {what}", help=help)

    def damaged(self, what: str, help: str | None = None) -> ArchError:
        return error("E1021", f"`{self.name}` cannot be used: {what}", help=help)


@dataclass(frozen=True)
class Arrays:
    """Images uint8 [N, H, W] or [N, H, W, C], classes [N] of whole numbers from 0."""

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    class_names: tuple[str, ...]
    val: tuple[np.ndarray, np.ndarray] | None = None


def assembled(origin: Origin, arrays: Arrays) -> Dataset:
    """The data set in memory, checked, with images held out as the origin says.

    The normalisation is by all training images, those that are held out with them: so it does not
    depend on how many these are.
    """
    train, test = _split(origin, arrays, *arrays.train), _split(origin, arrays, *arrays.test)
    mean, deviation = statistics(train.images)
    given = None if arrays.val is None else _split(origin, arrays, *arrays.val)
    train, val = with_val(origin, train, given)
    shapes = {tuple(each.images.shape[1:]) for each in (train, val, test) if each is not None}
    (channels, height, width), *others = shapes
    if others or height != width:
        shown = ", ".join(f"{h} x {w}" for _, h, w in sorted(shapes))
        raise origin.damaged(f"its images are of {shown}, and not square and of one size")
    names = arrays.class_names
    return Dataset(origin.name, names, channels, height, mean, deviation, train, val, test)


def _split(origin: Origin, arrays: Arrays, images: np.ndarray, labels: np.ndarray) -> InMemory:
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not len(images):
        shape = list(images.shape)
        raise origin.damaged(f"its images are {images.dtype} {shape}, not uint8 [N, H, W, C]")
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        shape = list(labels.shape)
        raise origin.damaged(f"the classes of {len(images)} images are {labels.dtype} {shape}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(arrays.class_names):
        raise origin.damaged(f"classes go from {low} to {high}, not from 0 on")
    channels_last = images if images.ndim == 4 else images[..., None]
    planes = torch.tensor(channels_last).movedim(-1, 1).contiguous()
    return InMemory(planes, torch.tensor(labels, dtype=torch.int64))


def with_val(origin: Origin, train: S, val: S | None) -> tuple[S, S | None]:
    """Images to train on and to choose by: the set's own ones, or as many as are to be held out."""
    if not origin.val:
        return train, val
    if val is not None:
        raise error("E1023", f"`{origin.name}` has images to choose by: none are to be held out")
    return held_out(origin, train, origin.val)


def held_out(origin: Origin, split: S, share: float) -> tuple[S, S]:
    """What stays of a split, and what is held out of it, both in its order.

    `share` is a number of images, or below 1 a share of them. The classes have the same shares in
    both; the choice is always the same.
    """
    labels = split.labels.numpy()
    number = round(share * len(labels)) if share < 1 else int(share)
    try:
        parts = train_test_split(
            range(len(labels)), test_size=number, random_state=0, stratify=labels
        )
    except ValueError:
        raise error(
            "E1023",
            f"{number:,} of the {len(labels):,} images of `{origin.name}` cannot be held out",
            help="both parts need an image of each class",
        ) from None
    rest, held = (torch.tensor(sorted(part)) for part in parts)
    return split.taken(rest), split.taken(held)

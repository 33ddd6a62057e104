"""Folders of images, one for each class: read by worker processes, in an order of their own.

What happens to an image in a worker depends on the seed, the epoch and the image: neither on the
number of workers nor on what was read before.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as Indexed

from archc.diagnostics import error, printable
from archc.train.data.arrays import Origin, held_out, with_val
from archc.train.data.augmentation import Augmentation
from archc.train.data.dataset import Dataset
from archc.train.data.vision import import_torchvision

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Those of ImageNet's pixels, from 0 to 255, for red, green and blue."""

TEST_SHARE = 0.2
"""Of a folder that has no part to test on."""

SHORT_SIDE = 256 / 224
"""How long an image's shorter side becomes, of which the square in the middle is taken."""


def image_folder(origin: Origin) -> Dataset:
    """`PATH/train/CLASS/...` and `PATH/test/CLASS/...`, with `PATH/val/CLASS/...` if there is one.

    Without `test`, `val` is what is tested on, as with ImageNet. Of `PATH/CLASS/...`, a fifth of
    each class is held out to test on. Images are normalised by ImageNet's mean and deviation.
    """
    found = {
        name: _read_folder(origin, origin.place / name)
        for name in ("train", "val", "test")
        if (origin.place / name).is_dir()
    }
    if "train" not in found:
        train, test = held_out(origin, _read_folder(origin, origin.place), TEST_SHARE)
        found = {"train": train, "test": test}
    if "test" not in found and "val" in found:
        found["test"] = found.pop("val")
    if "test" not in found:
        raise origin.missing(
            f"`{origin.place}` has a folder `train`, and neither `test` nor `val`",
            "name the folder that has the classes: a fifth of it is held out to test on",
        )
    train = found["train"]
    for name, each in found.items():
        if each.class_names != train.class_names:
            differing = ", ".join(sorted({*each.class_names} ^ {*train.class_names}))
            raise origin.damaged(f"`train` and `{name}` differ in their classes: {differing}")
    train, val = with_val(origin, train, found.get("val"))
    return Dataset(
        name=origin.name,
        class_names=train.class_names,
        channels=3,
        size=origin.size,
        mean=torch.tensor(MEAN),
        deviation=torch.tensor(DEVIATION),
        train=train,
        val=val,
        test=found["test"],
    )


def _read_folder(origin: Origin, folder: Path) -> "Files":
    """What torchvision's ImageFolder finds. Raises ArchError where it finds no classes."""
    vision = import_torchvision(origin.name)
    try:
        found = vision.datasets.ImageFolder(str(folder))
    except FileNotFoundError as problem:
        layout = f"`{folder}` has a folder for each class, with its images"
        raise origin.missing(printable(str(problem)), layout) from None
    paths, labels = zip(*found.samples, strict=True)
    names = tuple(found.classes)
    return Files(paths, torch.tensor(labels), names, origin.size, origin.workers)


@dataclass(frozen=True)
class Files:
    """A split whose images are files, and become square, `size` pixels along a side."""

    paths: tuple[str, ...]
    labels: Tensor
    class_names: tuple[str, ...]
    size: int
    workers: int

    def taken(self, indices: Tensor) -> "Files":
        paths = tuple(self.paths[i] for i in indices.tolist())
        return replace(self, paths=paths, labels=self.labels[indices])

    def to(self, device: torch.device) -> "Files":
        return self

    def read(
        self, batches: Sequence[Tensor], augmentation: Augmentation | None, key: tuple[int, int]
    ) -> Iterator[Tensor]:
        loader = DataLoader(
            _Reader(self.paths, transform(self.size, augmentation), key),
            batch_sampler=[batch.tolist() for batch in batches],
            num_workers=self.workers,
            collate_fn=_stacked,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # torch's global random numbers are the run's
        )
        for images in loader:
            if isinstance(images, str):
                raise error("E1021", f"`{images}` cannot be read as an image", help="remove it")
            yield images


def transform(size: int, augmentation: Augmentation | None) -> Callable[[Any], Tensor]:
    """From an image of PIL to uint8 [3, size, size]; without augmentation as for tests: the square
    in the middle, of an image whose shorter side is a little longer (256 for 224)."""
    v2 = import_torchvision("imagefolder").transforms.v2
    cropped = augmentation is not None and augmentation.resized_crop
    steps = [v2.PILToTensor()]
    if cropped:
        steps.append(v2.RandomResizedCrop(size, (cropped, 1.0), antialias=True))
    else:
        steps += [v2.Resize(round(size * SHORT_SIDE), antialias=True), v2.CenterCrop(size)]
    policy = "none" if augmentation is None else augmentation.policy
    steps += {
        "none": [],
        "rand_augment": [v2.RandAugment()],
        "trivial_augment": [v2.TrivialAugmentWide()],
    }[policy]
    made: Callable[[Any], Tensor] = v2.Compose(steps)
    return made


@dataclass(frozen=True)
class _Reader(Indexed[Tensor | str]):
    """The images at paths, each changed by random numbers of its own."""

    paths: tuple[str, ...]
    change: Callable[[Any], Tensor]
    key: tuple[int, int]

    def __getitem__(self, index: int) -> Tensor | str:
        """The image, or its path if it cannot be read: exceptions do not leave workers whole."""
        from PIL import Image, UnidentifiedImageError

        (seed,) = np.random.SeedSequence((*self.key, index)).generate_state(1, np.uint64)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(seed) >> 1)
            try:
                with Image.open(self.paths[index]) as image:
                    return self.change(image.convert("RGB"))
            except (UnidentifiedImageError, OSError):
                return self.paths[index]


def _stacked(images: list[Tensor | str]) -> Tensor | str:
    """A batch, or the first path that could not be read."""
    broken = [each for each in images if isinstance(each, str)]
    return (
        broken[0] if broken else torch.stack([each for each in images if isinstance(each, Tensor)])
    )

"""Data sets as tensors in memory: images [N, channels, height, width], mean 0 and deviation 1."""

from dataclasses import dataclass, replace

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn import functional as F

from archc.diagnostics import did_you_mean, error


@dataclass(frozen=True)
class Dataset:
    """Images with their classes, those to train on and those to test on.

    Images are float32 [N, channels, height, width], labels int64 [N] from 0 to `classes` - 1;
    `background` is the value of an empty pixel.
    """

    name: str
    classes: int
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    background: float

    @property
    def channels(self) -> int:
        return self.train_images.shape[1]

    @property
    def size(self) -> int:
        """Pixels along a side; images are square."""
        return self.train_images.shape[2]

    def to(self, device: torch.device) -> "Dataset":
        """The same data in a device's memory."""
        return replace(
            self,
            train_images=self.train_images.to(device),
            train_labels=self.train_labels.to(device),
            test_images=self.test_images.to(device),
            test_labels=self.test_labels.to(device),
        )


def load_data(name: str) -> Dataset:
    """The data set of that name. Raises ArchError for a name that there is not."""
    if name not in DATASETS:
        help = did_you_mean(name, DATASETS) or f"there is {', '.join(sorted(DATASETS))}"
        raise error("E1002", f"there is no data set `{name}`", help=help)
    return DATASETS[name]()


def _digits() -> Dataset:
    """scikit-learn's handwritten digits: 1,437 images of 8 x 8 to train on, 360 to test on.

    The split keeps the shares of the classes and does not depend on a run's seed. Mean and
    deviation are those of the training images' pixels.
    """
    loaded = load_digits()
    images = torch.tensor(loaded.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(loaded.target, dtype=torch.int64)
    train, test = train_test_split(
        range(len(labels)), test_size=0.2, random_state=0, stratify=loaded.target
    )
    mean, deviation = images[train].mean(), images[train].std()
    images = (images - mean) / deviation
    return Dataset(
        name="digits",
        classes=10,
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
        background=float(-mean / deviation),
    )


DATASETS = {"digits": _digits}


def shifted(images: Tensor, background: float, generator: torch.Generator) -> Tensor:
    """Each image moved by -1, 0 or 1 pixels along both axes; what moves in is background."""
    count, _, height, width = images.shape
    padded = F.pad(images, (1, 1, 1, 1), value=background)
    down, right = torch.randint(0, 3, (2, count, 1), generator=generator).to(images.device)
    rows = torch.arange(height, device=images.device) + down
    columns = torch.arange(width, device=images.device) + right
    samples = torch.arange(count, device=images.device)
    # Index tensors around the slice put its axis, the channels, last.
    picked = padded[samples[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return picked.movedim(-1, 1)

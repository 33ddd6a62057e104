"""From the name of a data set to its images: `digits`, `cifar10`, `npz:cats.npz`, `folder:cats`.

Nothing is downloaded unless that is asked for. What is missing is an error that says where to put
it.
"""

import zipfile
import zlib
from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from archc.diagnostics import did_you_mean, error
from archc.train.data.arrays import Arrays, Origin, assembled
from archc.train.data.dataset import Dataset
from archc.train.data.folders import image_folder
from archc.train.data.hub import huggingface
from archc.train.data.idx import FASHION_MNIST, MNIST
from archc.train.data.vision import cifar10, cifar100, svhn


def load_data(origin: Origin | str) -> Dataset:
    """The data set of that origin, or just of that name.

    Raises ArchError for a name that there is not, and where files or libraries are missing or
    wrong.
    """
    origin = Origin(origin) if isinstance(origin, str) else origin
    kind = origin.kind
    if kind not in DATASETS:
        help = did_you_mean(kind, DATASETS) or f"there is {', '.join(sorted(DATASETS))}"
        raise error("E1002", f"there is no data set `{kind}`", help=help)
    if kind in WITH_PATH and origin.name in (kind, f"{kind}:"):
        raise error("E1002", f"`{kind}` needs a path", help=f"`{kind}:PATH`")
    found = DATASETS[kind](origin)
    return assembled(origin, found) if isinstance(found, Arrays) else found


def digits(_: Origin) -> Arrays:
    """scikit-learn's handwritten digits: 1,437 images of 8 x 8 to train on, 360 to test on.

    Pixels are from 0 to 16. The split keeps the shares of the classes.
    """
    loaded = load_digits()
    images, labels = loaded.images.astype(np.uint8), loaded.target
    train, test = train_test_split(
        range(len(labels)), test_size=0.2, random_state=0, stratify=labels
    )
    parts = [(images[each], labels[each]) for each in (train, test)]
    return Arrays(parts[0], parts[1], tuple("0123456789"))


def npz(origin: Origin) -> Arrays:
    """Arrays of a `.npz` file: `train_images` uint8 [N, H, W] or [N, H, W, C], `train_labels` [N]
    or [N, 1] from 0, the same for `test` and, where there are some, `val`; and, if there is one,
    `class_names`. MedMNIST has its files so."""
    arrays = _read(origin)

    def part(name: str) -> tuple[np.ndarray, np.ndarray]:
        try:
            images, labels = arrays[f"{name}_images"], arrays[f"{name}_labels"]
        except KeyError as key:
            raise origin.damaged(f"it has no {key}", f"it has {', '.join(arrays)}") from None
        return images, labels[:, 0] if labels.shape[1:] == (1,) else labels

    train, test = part("train"), part("test")
    val = part("val") if "val_images" in arrays else None
    count = 1 + max(int(labels.max(initial=0)) for _, labels in (train, test))
    names = arrays.get("class_names", np.arange(count))
    return Arrays(train, test, tuple(map(str, names)), val)


def _read(origin: Origin) -> dict[str, np.ndarray]:
    try:
        with origin.place.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.ndarray):
                return dict(loaded)
    except FileNotFoundError:
        raise origin.missing(f"there is no file `{origin.place}`", "name a `.npz` file") from None
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        pass
    raise origin.damaged("it is no whole `.npz` file of plain arrays")


DATASETS: dict[str, Callable[[Origin], Arrays | Dataset]] = {
    "cifar10": cifar10,
    "cifar100": cifar100,
    "digits": digits,
    "fashion-mnist": FASHION_MNIST,
    "huggingface": huggingface,
    "imagefolder": image_folder,
    "mnist": MNIST,
    "npz": npz,
    "svhn": svhn,
}
WITH_PATH = {"huggingface", "imagefolder", "npz"}
"""What must be told where it is."""

"""Fashion-MNIST and MNIST, from the four files that their authors give out (`idx`, compressed)."""

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from archc.train.data.arrays import Arrays, Origin
from archc.train.data.vision import torchvision_set

FILES = tuple(
    f"{name}-ubyte.gz"
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
)


@dataclass(frozen=True)
class IdxSet:
    """A set of four files: the class of torchvision that downloads them, its classes, where they
    are besides, what brings them there, and the SHA-256 of what each of `FILES` holds.

    The sums are of the content, as Debian compresses the files anew.
    """

    title: str
    class_names: tuple[str, ...]
    besides: tuple[Path, ...]
    help: str
    sums: tuple[str, ...]

    def __call__(self, origin: Origin) -> Arrays:
        """Read the set. Raises ArchError where a file is missing or is not the authors'."""
        if origin.download:
            torchvision_set(origin, self.title, train=True)
        raw = origin.place / self.title / "raw"  # where torchvision puts them
        for folder in (origin.place, raw, *self.besides):
            if (folder / FILES[0]).is_file():
                break
        else:
            wanted = f"put {', '.join(FILES)} into `{origin.place}`"
            raise origin.missing(f"there is no {FILES[0]}", f"{self.help}{wanted}")
        images, labels, test_images, test_labels = (
            _read(origin, folder / name, sum_) for name, sum_ in zip(FILES, self.sums, strict=True)
        )
        return Arrays((images, labels), (test_images, test_labels), self.class_names)


def _read(origin: Origin, path: Path, sha256: str) -> np.ndarray:
    """The bytes of an idx file, in its shape: three bytes that say their type and the number of
    axes follow a zero, and a size of four bytes for each axis."""
    try:
        content = gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise origin.missing(f"there is no {path.name} in `{path.parent}`", "get it, too") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
        raise origin.damaged(f"`{path}` is no whole gzip file: {problem}") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise origin.damaged(f"the content of `{path}` has another SHA-256 than the authors'")
    axes = content[3]
    shape = np.frombuffer(content, ">u4", axes, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape.astype(int))


DEBIAN = Path("/usr/share/datasets/fashion-mnist")

# Sums of Debian's package dataset-fashion-mnist 0.0~git20200523.55506a9-1; the authors' files hold
# the same.
FASHION_MNIST = IdxSet(
    "FashionMNIST",
    (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    (DEBIAN,),
    f"`apt-get install dataset-fashion-mnist` puts the files into {DEBIAN}; or ",
    (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)  # fmt: skip
"""Clothes (Xiao et al., 2017): 60,000 and 10,000 grey images of 28 x 28."""

MNIST = IdxSet(
    "MNIST",
    tuple("0123456789"),
    (),
    "",
    (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)
"""Handwritten digits (LeCun et al., 1998): 60,000 and 10,000 grey images of 28 x 28."""

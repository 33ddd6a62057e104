"""What torchvision reads: CIFAR-10 and 100, SVHN, and the downloads of these and others."""

import sys
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import torch

from archc.diagnostics import error, printable
from archc.train.data.arrays import Arrays, Origin


def import_torchvision(name: str) -> Any:
    """The module torchvision, for the data set or setting `name`. Raises ArchError without it."""
    try:
        _import()
        import torchvision.datasets
        import torchvision.transforms.v2
    except (ImportError, RuntimeError) as problem:  # the latter beside a torch it was not made for
        why = str(problem).partition("\n")[0]
        raise error(
            "E1022",
            f"`{name}` needs torchvision, which cannot be imported: {why}",
            help="install the torchvision that belongs to your torch",
        ) from None
    return torchvision


_operators: list[Any] = []
"""What is declared in torchvision's place; it lasts as long as this list."""


def _import() -> None:
    """Import torchvision, also beside a build of torch for CPUs only.

    There its own operators do not load, and it asks for two of them as it is imported. Data sets
    and transforms use neither.
    """
    try:
        import torchvision
    except RuntimeError as problem:
        if "torchvision::nms" not in str(problem) or _operators:
            raise
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        _operators.append(library)
        for name in ("nms", "qnms"):
            signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            library.define(name + signature)
        import torchvision  # noqa: F401


def torchvision_set(origin: Origin, title: str, **which: object) -> Any:
    """A set of torchvision's class `title`, downloaded first if that is asked for."""
    made = getattr(import_torchvision(origin.name).datasets, title)
    try:
        with redirect_stdout(sys.stderr):  # which is where progress belongs
            return made(str(origin.place), download=origin.download, **which)
    except (RuntimeError, OSError) as problem:
        if origin.download:
            why = printable(str(problem))
            raise error("E1024", f"`{origin.name}` was not downloaded: {why}") from None
        raise origin.missing(
            f"`{origin.place}` has not the files of torchvision's {title}, as they should be",
            "`--data-dir` names the folder that has them; `--download` gets them",
        ) from None


def cifar10(origin: Origin) -> Arrays:
    """50,000 and 10,000 images of 32 x 32 of 10 classes (Krizhevsky, 2009)."""
    return _cifar(origin, "CIFAR10")


def cifar100(origin: Origin) -> Arrays:
    """50,000 and 10,000 images of 32 x 32 of 100 classes (Krizhevsky, 2009)."""
    return _cifar(origin, "CIFAR100")


def _cifar(origin: Origin, title: str) -> Arrays:
    train, test = (torchvision_set(origin, title, train=each) for each in (True, False))
    parts = [(each.data, np.array(each.targets)) for each in (train, test)]
    return Arrays(parts[0], parts[1], tuple(train.classes))


def svhn(origin: Origin) -> Arrays:
    """House numbers (Netzer et al., 2011): 73,257 and 26,032 images of 32 x 32 of 10 digits.

    Without the 531,131 easier images that the authors call `extra`.
    """
    sets = [torchvision_set(origin, "SVHN", split=split) for split in ("train", "test")]
    train, test = ((np.moveaxis(each.data, 1, -1), each.labels) for each in sets)
    return Arrays(train, test, tuple("0123456789"))

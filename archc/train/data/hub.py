"""Data sets of Hugging Face's library `datasets`: a folder that it saved, or a name of its hub."""

import os
from typing import Any

import numpy as np

from archc.diagnostics import error, printable
from archc.train.data.arrays import Arrays, Origin


def huggingface(origin: Origin) -> Arrays:
    """The first column of images, and the first of class labels.

    The parts are `train` and `test`; `validation` is to choose by, or what is tested on where there
    is no `test`. All images are decoded into memory.
    """
    loaded = _load(origin)
    names = list(loaded) if isinstance(loaded, dict) else []
    test = "test" if "test" in names else "validation"
    if "train" not in names or test not in names:
        raise origin.damaged("it has not the parts `train` and `test`", f"it has {names}")
    train, labels = _part(origin, loaded["train"])
    val = _part(origin, loaded["validation"])[0] if {"test", "validation"} <= {*names} else None
    return Arrays(train, _part(origin, loaded[test])[0], tuple(labels.names), val)


def _load(origin: Origin) -> Any:
    """Parts by their names, as the library has them. Without `download` it asks no network."""
    if not origin.download:
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        import datasets
    except ImportError as problem:
        raise error(
            "E1022",
            f"`{origin.name}` needs the library `datasets`: {problem}",
            help="pip install datasets",
        ) from None
    try:
        if origin.place.is_dir():
            return datasets.load_from_disk(str(origin.place))
        return datasets.load_dataset(str(origin.place))
    except (OSError, ValueError) as problem:
        why = printable(str(problem).partition("\n")[0])
        raise origin.missing(why, "name a folder of `save_to_disk`, or give `--download`") from None


def _part(origin: Origin, part: Any) -> tuple[tuple[np.ndarray, np.ndarray], Any]:
    """Images and classes of a part, and the feature of the latter."""
    kinds = {type(feature).__name__: name for name, feature in reversed(part.features.items())}
    if not kinds.keys() >= {"Image", "ClassLabel"}:
        columns = ", ".join(f"`{name}` ({kind})" for kind, name in kinds.items())
        raise origin.damaged("it has no columns of images and of class labels", f"it has {columns}")
    images = [np.asarray(image) for image in part[kinds["Image"]]]
    if len({image.shape for image in images}) != 1:
        raise origin.damaged("its images differ in size", "save them as files for `imagefolder`")
    labels = np.asarray(part[kinds["ClassLabel"]])
    return (np.stack(images), labels), part.features[kinds["ClassLabel"]]

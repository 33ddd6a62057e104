"""Data sets of the library `datasets`, where that is installed."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archc.diagnostics import ArchError
from archc.train.data import load_data
from archc.train.data.dataset import InMemory

needs_datasets = pytest.mark.skipif(
    importlib.util.find_spec("datasets") is None, reason="the library `datasets` is missing"
)


def refusal(name: str) -> str:
    with pytest.raises(ArchError) as caught:
        load_data(name)
    return str(caught.value)


def saved(folder: Path, sizes: dict[str, int], side: int = 5) -> str:
    """Images of one colour, which counts them, in parts of these sizes."""
    import datasets

    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "year": datasets.Value("int64"),
            "kind": datasets.ClassLabel(names=["cat", "dog"]),
        }
    )

    def part(count: int) -> Any:
        pixels = [np.full((side, 5, 3), k, np.uint8) for k in range(count)]
        columns = {"picture": pixels, "year": [1] * count, "kind": [k % 2 for k in range(count)]}
        return datasets.Dataset.from_dict(columns, features=features)

    datasets.DatasetDict({name: part(count) for name, count in sizes.items()}).save_to_disk(folder)
    return f"huggingface:{folder}"


@needs_datasets
@pytest.mark.parametrize(
    ("sizes", "val", "test"),
    [({"train": 6, "validation": 3}, None, 3), ({"train": 6, "validation": 3, "test": 4}, 3, 4)],
)
def test_a_saved_data_set_has_its_images_classes_and_parts(
    tmp_path: Path, sizes: dict[str, int], val: int | None, test: int
) -> None:
    data = load_data(saved(tmp_path, sizes))
    assert data.class_names == ("cat", "dog")
    assert isinstance(data.train, InMemory)
    assert data.train.images[:, 2, 1, 1].tolist() == list(range(6))
    assert data.train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert len(data.test.labels) == test
    assert (None if data.val is None else len(data.val.labels)) == val


@needs_datasets
def test_what_has_no_parts_or_is_not_here_is_refused(tmp_path: Path) -> None:
    assert "parts `train` and `test`" in refusal(saved(tmp_path / "a", {"train": 2}))
    assert "not square" in refusal(saved(tmp_path / "b", {"train": 2, "test": 2}, side=4))
    assert "error[E1020]" in refusal("huggingface:nobody/nothing")
    assert "error[E1020]" in refusal(f"huggingface:{tmp_path}")


@pytest.mark.skipif(importlib.util.find_spec("datasets") is not None, reason="it is installed")
def test_without_the_library_it_is_named() -> None:
    assert "pip install datasets" in refusal("huggingface:ylecun/mnist")

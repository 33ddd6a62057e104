"""Folders of images: what is read of them, in which order, and with which random changes."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from archc.diagnostics import ArchError
from archc.train.data import Augmentation, Dataset, Origin, load_data

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12's


def fill(folder: Path, counts: dict[str, int], size: tuple[int, int] = (24, 20)) -> Path:
    """Images of noise for each class, the k-th of each with 8 k as its mean."""
    generator = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for k in range(count):
            pixels = generator.integers(0, 8, (*size, 3)) + 8 * k
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{k:03}.png")
    return folder


def load(folder: Path, **options: Any) -> Dataset:
    return load_data(Origin(f"imagefolder:{folder}", **{"size": 16, "workers": 0, **options}))


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(ArchError) as caught:
        load(folder, **options)
    return str(caught.value)


def test_a_folder_of_classes_has_a_fifth_of_each_held_out(tmp_path: Path) -> None:
    data = load(fill(tmp_path, {"cat": 10, "dog": 20}))
    assert data.class_names == ("cat", "dog")
    assert (data.channels, data.size) == (3, 16)
    assert data.train.labels.bincount().tolist() == [8, 16]
    assert data.test.labels.bincount().tolist() == [2, 4]
    assert data.val is None
    held = load(tmp_path, val=6)
    assert held.val is not None
    assert held.val.labels.bincount().tolist() == [2, 4]
    assert torch.equal(held.test.labels, data.test.labels)


@pytest.mark.parametrize(
    ("parts", "val", "test"),
    [(("val",), None, 3), (("test",), None, 4), (("val", "test"), 3, 4)],
    ids=str,
)
def test_parts_that_have_folders_are_taken_as_they_are(
    tmp_path: Path, parts: tuple[str, ...], val: int | None, test: int
) -> None:
    fill(tmp_path / "train", {"a": 5, "b": 2})
    counts = {"val": {"a": 1, "b": 2}, "test": {"a": 2, "b": 2}}
    for part in parts:
        fill(tmp_path / part, counts[part])
    data = load(tmp_path)
    assert len(data.train.labels) == 7
    assert len(data.test.labels) == test
    assert (None if data.val is None else len(data.val.labels)) == val


def test_what_is_no_folder_of_classes_is_refused(tmp_path: Path) -> None:
    assert "has a folder for each class" in refusal(tmp_path)
    assert "error[E1020]" in refusal(tmp_path / "nowhere")
    fill(tmp_path / "train", {"a": 2, "b": 2})
    assert "neither `test` nor `val`" in refusal(tmp_path)
    fill(tmp_path / "test", {"a": 2, "c": 2})
    assert "`train` and `test` differ in their classes: b, c" in refusal(tmp_path)
    fill(tmp_path / "single", {"a": 1, "b": 9})
    assert "both parts need an image of each class" in refusal(tmp_path / "single")


def test_an_image_to_test_on_is_the_middle_of_the_image(tmp_path: Path) -> None:
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 30:50] = (0, 100, 250)  # all of the middle, with a margin for the resizing
    for part in ("train", "test"):
        fill(tmp_path / part, {"a": 1, "b": 1})
        Image.fromarray(pixels).save(tmp_path / part / "a" / "000.png")
    data = load(tmp_path, size=14)
    (images,) = data.test.read([torch.tensor([0, 1])], None, (0, 0))
    assert images.shape == (2, 3, 14, 14)
    assert images.dtype == torch.uint8
    colour = torch.tensor([0, 100, 250], dtype=torch.uint8)
    assert (images[0, :, 3:11, 5:9] == colour[:, None, None]).all()
    (batch,) = data.batches(data.test, 2)
    expected = torch.tensor([0, 100, 250]) / 255 - torch.tensor([0.485, 0.456, 0.406])
    expected /= torch.tensor([0.229, 0.224, 0.225])
    assert torch.allclose(batch.images[0, :, 7, 7], expected, atol=1e-5)


ALL = Augmentation(
    resized_crop=0.3, policy="rand_augment", crop_padding=2, flip=True, erasing=0.5, mixup=1.0
)


def epoch(data: Dataset, number: int = 0, **options: Any) -> list[Tensor]:
    given = {"batch_size": 8, "seed": 5, "augmentation": ALL, **options}
    return [batch.images for batch in data.epoch(number, **given)]


def equal(left: list[Tensor], right: list[Tensor]) -> bool:
    return len(left) == len(right) and all(map(torch.equal, left, right))


@pytest.fixture(scope="module")
def cats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("cats"), {"cat": 15, "dog": 10})


def test_what_a_step_sees_does_not_depend_on_the_workers(cats: Path) -> None:
    alone = epoch(load(cats))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert equal(epoch(load(cats, workers=2)), alone)
    assert torch.equal(torch.get_rng_state(), before), "the run's random numbers were used"
    assert not equal(epoch(load(cats), 1), alone)
    assert not equal(epoch(load(cats), seed=6), alone)


def test_an_epoch_of_files_goes_on_from_any_step(cats: Path) -> None:
    data = load(cats)
    assert equal(epoch(data, first=2), epoch(data)[2:])


def test_processes_see_of_a_step_what_one_would(cats: Path) -> None:
    unmixed = Augmentation(resized_crop=0.5, policy="trivial_augment", flip=True)
    data = load(cats)
    whole = epoch(data, augmentation=unmixed)
    for rank in range(2):
        mine = epoch(data, augmentation=unmixed, rank=rank, ranks=2)
        assert equal(mine, [images[rank::2] for images in whole])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_is_no_image_is_named(tmp_path: Path, workers: int) -> None:
    fill(tmp_path, {"a": 5, "b": 5})
    for path in (tmp_path / "b").iterdir():
        os.truncate(path, 40)
    with pytest.raises(ArchError, match=r"E1021.*b/00\d.png` cannot be read as an image"):
        epoch(load(tmp_path, workers=workers))


def test_images_of_one_channel_and_with_transparency_become_red_green_and_blue(
    tmp_path: Path,
) -> None:
    fill(tmp_path, {"a": 5, "b": 5})
    Image.new("L", (30, 30), 7).save(tmp_path / "a" / "000.png")
    Image.new("RGBA", (30, 30), (9, 9, 9, 3)).save(tmp_path / "a" / "001.png")
    Image.new("P", (30, 30)).save(tmp_path / "a" / "002.png")
    assert {images.shape[1] for images in epoch(load(tmp_path), augmentation=Augmentation())} == {3}

"""Data sets: what is read and checked, what is held out, and which images a step sees."""

import gzip
import pickle
from collections.abc import Callable
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.diagnostics import ArchError
from archc.train.data import Augmentation, Dataset, Origin, load_data
from archc.train.data.dataset import InMemory
from archc.train.data.idx import DEBIAN, FASHION_MNIST, FILES

PLAIN = Augmentation()
needs_fashion_mnist = pytest.mark.skipif(
    not (DEBIAN / FILES[0]).is_file(), reason="`apt-get install dataset-fashion-mnist` is missing"
)


def refusal(name: str, **options: Any) -> str:
    with pytest.raises(ArchError) as caught:
        load_data(Origin(name, **options))
    return str(caught.value)


def in_memory(split: Any) -> InMemory:
    assert isinstance(split, InMemory)
    return split


# ---------------------------------------------------------------------------- the sets


def test_digits_are_split_by_class_and_normalised() -> None:
    data = load_data("digits")
    assert (data.channels, data.size, data.classes) == (1, 8, 10)
    assert in_memory(data.train).images.shape == (1437, 1, 8, 8)
    (batch,) = data.batches(data.train, 1437)
    assert batch.images.mean().item() == pytest.approx(0, abs=1e-6)
    assert batch.images.std(correction=0).item() == pytest.approx(1, abs=1e-6)
    (test,) = data.batches(data.test, 360)
    assert min(np.bincount(test.labels.numpy())) >= 34


def test_no_image_is_both_trained_and_tested_on() -> None:
    data = load_data(Origin("digits", val=0.1))
    assert data.val is not None
    seen = [
        {image.numpy().tobytes() for image in in_memory(split).images}
        for split in (data.train, data.val, data.test)
    ]
    assert all(a.isdisjoint(b) for a, b in combinations(seen, 2))


@needs_fashion_mnist
def test_fashion_mnist_is_that_of_its_authors() -> None:
    data = load_data("fashion-mnist")
    assert Origin("fashion_mnist").kind == Origin("fashion-mnist").kind
    assert (data.channels, data.size, len(data.train.labels)) == (1, 28, 60000)
    assert torch.equal(data.test.labels.bincount(), torch.full((10,), 1000))
    assert data.class_names[data.train.labels[0]] == "Ankle boot"
    assert data.mean.item() / 255 == pytest.approx(0.2860, abs=5e-5)  # as is widely written
    assert data.deviation.item() / 255 == pytest.approx(0.3530, abs=5e-5)


@needs_fashion_mnist
def test_a_file_of_the_set_that_is_not_the_authors_is_refused(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).symlink_to(DEBIAN / name)
    content = bytearray(gzip.decompress((DEBIAN / FILES[1]).read_bytes()))
    content[100] ^= 1
    (tmp_path / FILES[1]).unlink()
    (tmp_path / FILES[1]).write_bytes(gzip.compress(bytes(content)))
    assert "another SHA-256 than the authors'" in refusal("fashion-mnist", folder=str(tmp_path))
    (tmp_path / FILES[1]).write_bytes((DEBIAN / FILES[1]).read_bytes()[:-30])
    assert "no whole gzip file" in refusal("fashion-mnist", folder=str(tmp_path))
    (tmp_path / FILES[1]).unlink()
    assert f"there is no {FILES[1]}" in refusal(f"fashion-mnist:{tmp_path}")


def test_what_is_missing_is_named_with_the_place_where_it_belongs(tmp_path: Path) -> None:
    said = refusal("mnist", folder=str(tmp_path))
    assert "error[E1020]" in said
    assert f"put {', '.join(FILES)} into `{tmp_path}`" in said
    assert "apt-get install dataset-fashion-mnist" in FASHION_MNIST.help
    for name in ("cifar10", "cifar100", "svhn"):
        assert "`--download` gets them" in refusal(name, folder=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torchvision: Any
) -> None:
    mirrors = [f"file://{tmp_path}/nowhere/"]
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", mirrors)
    assert "error[E1024]" in refusal("mnist", folder=str(tmp_path / "data"), download=True)


def write_cifar(folder: Path, files: dict[str, int]) -> None:
    folder.mkdir()
    for number, (name, count) in enumerate(files.items()):
        images = np.full((count, 3, 32, 32), number, np.uint8)
        images[:, 0] = 200
        batch = {"data": images.reshape(count, -1), "labels": [number] * count}
        (folder / name).write_bytes(pickle.dumps(batch))
    names = {"label_names": [f"class {k}" for k in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names))


def test_cifar_is_read_by_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torchvision: Any
) -> None:
    cifar = torchvision.datasets.CIFAR10
    monkeypatch.setattr(cifar, "train_list", [["data_batch_1", None], ["data_batch_2", None]])
    monkeypatch.setattr(cifar, "test_list", [["test_batch", None]])
    monkeypatch.setattr(cifar, "meta", {**cifar.meta, "md5": None})
    write_cifar(
        tmp_path / "cifar-10-batches-py", {"data_batch_1": 3, "data_batch_2": 2, "test_batch": 4}
    )
    data = load_data(Origin("cifar10", str(tmp_path)))
    assert in_memory(data.train).images.shape == (5, 3, 32, 32)
    assert in_memory(data.train).images[4, :, 0, 0].tolist() == [200, 1, 1]
    assert data.test.labels.tolist() == [2, 2, 2, 2]
    assert data.class_names[2] == "class 2"
    assert data.deviation[0] == 1  # a channel that is the same everywhere


def test_svhn_is_read_by_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torchvision: Any
) -> None:
    svhn = torchvision.datasets.SVHN
    files = {name: f"{name}_32x32.mat" for name in ("train", "test")}
    lists = {name: ["", file, None] for name, file in files.items()}
    monkeypatch.setattr(svhn, "split_list", lists)
    images = np.arange(32 * 32 * 3 * 5).reshape(32, 32, 3, 5) % 251
    for file in files.values():
        labels = np.array([[1], [10], [3], [4], [5]])  # a 0 is a 10 in the files
        scipy.io.savemat(tmp_path / file, {"X": images.astype(np.uint8), "y": labels})
    data = load_data(f"svhn:{tmp_path}")
    assert data.train.labels.tolist() == [1, 0, 3, 4, 5]
    assert in_memory(data.test).images[2, 1, 7, 9].item() == images[7, 9, 1, 2]


# ------------------------------------------------------------------------- npz files

Write = Callable[..., str]


@pytest.fixture
def write_npz(tmp_path: Path) -> Write:
    def write(**changes: Any) -> str:
        arrays: dict[str, Any] = {
            "train_images": np.arange(6 * 16, dtype=np.uint8).reshape(6, 4, 4),
            "train_labels": np.array([0, 1, 2, 0, 1, 2]),
            "test_images": np.zeros((3, 4, 4), np.uint8),
            "test_labels": np.array([[2], [1], [0]]),
        }
        arrays.update(changes)
        kept = {name: value for name, value in arrays.items() if value is not None}
        np.savez(tmp_path / "mine.npz", **kept)
        return f"npz:{tmp_path}/mine.npz"

    return write


def test_arrays_of_a_file_are_a_data_set(write_npz: Write) -> None:
    data = load_data(write_npz())
    assert (data.channels, data.size, data.class_names) == (1, 4, ("0", "1", "2"))
    assert data.test.labels.tolist() == [2, 1, 0]
    assert data.val is None
    colour = np.zeros((6, 4, 4, 3), np.uint8)
    colour[..., 2] = 9
    names = ["cat", "dog", "hen"]
    name = write_npz(
        train_images=colour, test_images=colour[:3], class_names=names,
        val_images=colour[:2], val_labels=np.array([1, 0]),
    )  # fmt: skip
    data = load_data(name)
    assert in_memory(data.train).images[5, :, 3, 3].tolist() == [0, 0, 9]
    assert data.val is not None
    assert data.val.labels.tolist() == [1, 0]
    assert data.class_names == ("cat", "dog", "hen")
    assert "none are to be held out" in refusal(name, val=3)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"test_labels": None}, "it has no 'test_labels'"),
        ({"train_images": np.zeros((6, 4, 4))}, "float64 [6, 4, 4], not uint8"),
        ({"train_images": np.zeros((6, 4, 5), np.uint8)}, "4 x 5"),
        ({"test_images": np.zeros((3, 5, 5), np.uint8)}, "4 x 4, 5 x 5"),
        ({"train_labels": np.array([0, 1])}, "the classes of 6 images are int64 [2]"),
        ({"train_labels": np.array([0, 1, 2, 0, 1, -1])}, "from -1 to 2"),
        ({"test_labels": np.array([0, 1, 2]), "class_names": ["a", "b"]}, "from 0 to 2"),
        ({"train_labels": np.array([None] * 6)}, "plain arrays"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_arrays_that_are_no_data_set_are_refused(
    write_npz: Write, change: dict[str, Any], why: str
) -> None:
    said = refusal(write_npz(**change))
    assert "error[E1021]" in said
    assert why in said


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    assert "there is no file" in refusal(f"npz:{path}")
    for content in (b"", b"text", b"PK\3\4 and no more"):
        path.write_bytes(content)
        assert "no whole `.npz` file" in refusal(f"npz:{path}")
    np.save(tmp_path / "one.npy", np.zeros(3))
    assert "no whole `.npz` file" in refusal(f"npz:{tmp_path}/one.npy")


# --------------------------------------------------------------------- what is held out


@pytest.mark.parametrize(("val", "count"), [(0.1, 144), (100, 100)])
def test_images_are_held_out_by_class_and_always_the_same(val: float, count: int) -> None:
    data, again = (load_data(Origin("digits", val=val)) for _ in range(2))
    assert data.val is not None
    assert again.val is not None
    assert len(data.val.labels) == count
    assert len(data.train.labels) == 1437 - count
    assert torch.equal(in_memory(data.val).images, in_memory(again.val).images)
    counts = data.val.labels.bincount()
    assert counts.max() - counts.min() <= 2
    whole = load_data("digits")
    assert torch.equal(data.mean, whole.mean)
    assert torch.equal(data.test.labels, whole.test.labels)


@pytest.mark.parametrize("val", [5, 1430, 1e-9, -3])
def test_as_many_as_leave_no_image_of_a_class_are_not_held_out(val: float) -> None:
    assert "error[E1023]" in refusal("digits", val=val)


# ------------------------------------------------------------------------------- order


def labels_seen(data: Dataset, epoch: int, **options: Any) -> list[list[int]]:
    """The first pixel of each image in each step: their number."""
    given = {"batch_size": 16, "seed": 1, "augmentation": PLAIN, **options}
    batches = data.epoch(epoch, **given)
    means, deviations = data.mean, data.deviation
    return [
        (batch.images[:, 0, 0, 0] * deviations + means).round().int().tolist() for batch in batches
    ]


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """75 images, whose first pixels count them."""
    images = np.zeros((75, 2, 2), np.uint8)
    images[:, 0, 0] = np.arange(75)
    path = tmp_path_factory.mktemp("data") / "numbered.npz"
    labels = np.arange(75) % 5
    np.savez(path, train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    return load_data(f"npz:{path}")


@settings(max_examples=30)
@given(st.integers(1, 80), st.integers(0, 2**62), st.integers(0, 9), st.integers(1, 4))
def test_an_epoch_has_every_image_once_whatever_the_number_of_processes(
    numbered: Dataset, batch_size: int, seed: int, epoch: int, ranks: int
) -> None:
    options: dict[str, Any] = {"batch_size": batch_size, "seed": seed}
    alone = labels_seen(numbered, epoch, **options)
    assert len(alone) == numbered.steps(batch_size)
    assert sorted(chain.from_iterable(alone)) == list(range(75))
    sizes = {len(batch) for batch in alone}
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    parts = [
        labels_seen(numbered, epoch, rank=rank, ranks=ranks, **options) for rank in range(ranks)
    ]
    for step, batch in enumerate(alone):
        assert [part[step] for part in parts] == [batch[rank::ranks] for rank in range(ranks)]


def test_the_order_is_another_in_each_epoch_and_for_each_seed(numbered: Dataset) -> None:
    orders = [labels_seen(numbered, epoch, seed=seed) for epoch in (0, 1) for seed in (0, 1)]
    assert all(a != b for i, a in enumerate(orders) for b in orders[:i])
    assert labels_seen(numbered, 1, seed=1) == orders[3]


def test_an_epoch_goes_on_from_any_step_as_if_it_had_not_stopped(numbered: Dataset) -> None:
    everything = Augmentation(
        crop_padding=1, flip=True, cutout=1, erasing=0.5, mixup=1, cutmix=1, label_smoothing=0.1
    )
    options: dict[str, Any] = {"batch_size": 16, "seed": 3, "augmentation": everything}
    whole = list(numbered.epoch(2, **options))
    for first in range(5):
        for before, after in zip(
            whole[first:], numbered.epoch(2, first=first, **options), strict=True
        ):
            assert torch.equal(before.images, after.images)
            assert torch.equal(before.targets, after.targets)
            assert torch.equal(before.labels, after.labels)


def test_processes_change_images_as_one_would(numbered: Dataset) -> None:
    changed = Augmentation(crop_padding=1, flip=True, cutout=1, erasing=0.5, label_smoothing=0.1)
    options: dict[str, Any] = {"batch_size": 16, "seed": 3, "augmentation": changed}
    parts = [numbered.epoch(0, rank=rank, ranks=2, **options) for rank in range(2)]
    for whole, *shares in zip(numbered.epoch(0, **options), *parts, strict=True):
        for rank, share in enumerate(shares):
            assert torch.equal(share.images, whole.images[rank::2])
            assert torch.equal(share.targets, whole.targets[rank::2])


def test_each_step_changes_images_by_numbers_of_its_own(numbered: Dataset) -> None:
    """Of mixup: the share with which a step mixes its images."""
    mixing = Augmentation(mixup=1.0)
    shares = [
        batch.targets[batch.targets > 0].min().item()
        for epoch in (0, 1)
        for batch in numbered.epoch(epoch, batch_size=25, seed=0, augmentation=mixing)
    ]
    assert len(set(shares)) == len(shares) == 6


def test_a_test_sees_the_images_in_their_order(numbered: Dataset) -> None:
    parts = list(numbered.batches(numbered.test, 32))
    assert [len(part.labels) for part in parts] == [32, 32, 11]
    assert torch.cat([part.labels for part in parts]).tolist() == [k % 5 for k in range(75)]
    (second,) = numbered.batches(numbered.test, 100, rank=1, ranks=2)
    assert second.labels.tolist() == [k % 5 for k in range(1, 75, 2)]


def test_what_is_done_image_by_image_is_refused_for_arrays(numbered: Dataset) -> None:
    with pytest.raises(ArchError, match="E1023"):
        labels_seen(numbered, 0, augmentation=Augmentation(policy="rand_augment"))

"""Augmentation of whole batches against loops over images and pixels, written from the papers."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from archc.train.data import Augmentation
from archc.train.data.augmentation import Draw, erased, mixed, moved, targets_of

CPU = torch.device("cpu")
SEEDS = st.integers(0, 2**32)
SHAPES = st.tuples(
    st.integers(1, 6), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)
)  # fmt: skip


def draw(seed: int, count: int, mine: slice = slice(None)) -> Draw:
    return Draw(np.random.default_rng(seed), count, mine, CPU)


def pixels(shape: tuple[int, ...]) -> Tensor:
    """Bytes without a 0, each image and channel with values of its own."""
    return (torch.arange(math.prod(shape)).reshape(shape) % 255 + 1).to(torch.uint8)


def windows(image: Tensor, padding: int, flip: bool) -> list[Tensor]:
    """All that an image [C, H, W] may become by a crop and a flip: a loop over offsets."""
    channels, height, width = image.shape
    framed = image.new_zeros(channels, height + 2 * padding, width + 2 * padding)
    framed[:, padding : padding + height, padding : padding + width] = image
    found = [
        framed[:, i : i + height, j : j + width]
        for i in range(2 * padding + 1)
        for j in range(2 * padding + 1)
    ]
    return found + [window.flip(2) for window in found] if flip else found


@settings(max_examples=40)
@given(SHAPES, st.integers(0, 3), st.booleans(), SEEDS)
def test_each_image_becomes_one_of_its_windows(
    shape: tuple[int, int, int, int], padding: int, flip: bool, seed: int
) -> None:
    images = pixels(shape)
    changed = moved(images, Augmentation(crop_padding=padding, flip=flip), draw(seed, shape[0]))
    assert changed.is_contiguous()
    assert changed.dtype == torch.uint8
    for image, result in zip(images, changed, strict=True):
        assert any(torch.equal(result, each) for each in windows(image, padding, flip))


def test_all_windows_come_equally_often() -> None:
    image = pixels((1, 2, 4, 3))
    images = image.expand(9000, -1, -1, -1)
    changed = moved(images, Augmentation(crop_padding=1, flip=True), draw(0, 9000))
    shares = [
        (changed == window).flatten(1).all(1).float().mean().item()
        for window in windows(image[0], 1, flip=True)
    ]
    assert sum(shares) == pytest.approx(1)
    assert min(shares) > 0.8 / 18
    assert max(shares) < 1.2 / 18


def rectangle(removed: Tensor) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of the pixels [H, W] that are removed, which fill them."""
    rows, columns = removed.any(1).nonzero(), removed.any(0).nonzero()
    top, bottom = int(rows.min()), int(rows.max()) + 1
    left, right = int(columns.min()), int(columns.max()) + 1
    assert removed[top:bottom, left:right].all()
    assert int(removed.sum()) == (bottom - top) * (right - left)
    return top, bottom, left, right


@settings(max_examples=15)
@given(st.integers(1, 9), SEEDS)
def test_cutout_removes_a_square_around_any_pixel_cut_off_at_the_edges(
    side: int, seed: int
) -> None:
    images = torch.ones(8, 2, 7, 5)
    changed = erased(images, Augmentation(cutout=side), draw(seed, 8))
    for image in changed:
        assert torch.equal(image[0], image[1])
        possible = []
        for centre_row in range(7):
            for centre_column in range(5):
                expected = torch.ones(7, 5)
                top, left = centre_row - side // 2, centre_column - side // 2
                for i in range(max(top, 0), min(top + side, 7)):
                    for j in range(max(left, 0), min(left + side, 5)):
                        expected[i, j] = 0
                possible.append(expected)
        assert any(torch.equal(image[0], each) for each in possible)


def test_erasing_has_the_chance_the_areas_and_the_ratios_of_the_paper() -> None:
    changed = erased(torch.ones(4000, 1, 40, 60), Augmentation(erasing=0.3), draw(0, 4000))
    removed = changed[:, 0] == 0
    touched = removed.flatten(1).any(1)
    assert touched.float().mean().item() == pytest.approx(0.3, abs=0.03)
    areas, ratios = [], []
    for each in removed[touched]:
        top, bottom, left, right = rectangle(each)
        areas.append((bottom - top) * (right - left) / (40 * 60))
        ratios.append((bottom - top) / (right - left))
    assert min(areas) > 0.015
    assert max(areas) < 0.345
    # What does not fit is drawn anew, so large areas are a little rarer than small ones.
    assert np.mean(areas) == pytest.approx((0.02 + 0.33) / 2, abs=0.015)
    assert min(ratios) > 0.25
    assert max(ratios) < 4
    assert np.mean(np.log(ratios)) < 0.1


def test_where_no_rectangle_fits_an_image_stays_as_it_is() -> None:
    images = torch.ones(50, 1, 1, 40)
    assert torch.equal(erased(images, Augmentation(erasing=1.0), draw(0, 50)), images)


def test_erasing_equals_a_loop_over_images() -> None:
    """The same numbers, taken one image after the other as the paper's algorithm takes them."""
    count, height, width = 64, 9, 12
    changed = erased(torch.ones(count, 1, height, width), Augmentation(erasing=0.5), draw(3, count))
    generator = np.random.default_rng(3)
    chances, areas, ratios, places = (
        generator.random((rows, count), dtype=np.float32) for rows in (1, 10, 10, 2)
    )
    for n in range(count):
        expected = torch.ones(height, width)
        for area, ratio in zip(areas[:, n], ratios[:, n], strict=True):
            size = (0.02 + 0.31 * area) * height * width
            shape = math.exp(math.log(0.3) * (1 - 2 * ratio))
            rows, columns = round(math.sqrt(size * shape)), round(math.sqrt(size / shape))
            if rows < height and columns < width:
                top = int(places[0, n] * (height - rows + 1))
                left = int(places[1, n] * (width - columns + 1))
                if chances[0, n] < 0.5:
                    expected[top : top + rows, left : left + columns] = 0
                break
        assert torch.equal(changed[n, 0], expected)


# ---------------------------------------------------------------------------- targets


@given(st.integers(1, 8), st.floats(0, 0.99))
def test_targets_are_probabilities_with_the_smoothing_spread(classes: int, share: float) -> None:
    labels = torch.arange(classes)
    targets = targets_of(labels, classes, Augmentation(label_smoothing=share, mixup=1))
    for label, row in zip(labels, targets, strict=True):
        expected = [share / classes + (1 - share if k == label else 0) for k in range(classes)]
        assert row.tolist() == pytest.approx(expected, abs=1e-6)


def test_targets_stay_classes_where_nothing_mixes() -> None:
    labels = torch.tensor([2, 0])
    assert targets_of(labels, 3, Augmentation(cutout=4, erasing=0.5, flip=True)) is labels


def batch(count: int, size: int = 6) -> tuple[Tensor, Tensor]:
    """Image n is n everywhere, and its target is its own class."""
    images = torch.arange(count, dtype=torch.float32)[:, None, None, None]
    return images.expand(-1, 2, size, size + 2).contiguous(), torch.eye(count)


@settings(max_examples=40)
@given(
    st.integers(1, 6),
    st.sampled_from([{"mixup": 0.2}, {"cutmix": 1.0}, {"mixup": 1, "cutmix": 1}]),
    SEEDS,
)
def test_the_weights_of_a_target_are_the_shares_of_its_images(
    count: int, fields: dict[str, Any], seed: int
) -> None:
    """Each image is a mean of two, weighted as its target: for cutmix, over its pixels."""
    images, targets = batch(count)
    before = images.clone()
    changed, weights = mixed(images, targets, Augmentation(**fields), draw(seed, count))
    assert torch.equal(images, before)
    assert torch.allclose(weights.sum(1), torch.ones(count))
    expected = weights @ torch.arange(count, dtype=torch.float32)
    assert torch.allclose(changed.mean((1, 2, 3)), expected, atol=1e-5)
    if fields == {"mixup": 0.2}:
        assert torch.allclose(changed, expected[:, None, None, None].expand_as(changed), atol=1e-5)
    if fields == {"cutmix": 1.0}:
        for n, image in enumerate(changed):
            assert {int(value) for value in image.unique()} <= {n, (n - 1) % count}


def test_cutmix_pastes_a_rectangle_whose_area_is_the_weight_exactly() -> None:
    images, targets = batch(2, size=16)
    for seed in range(40):
        changed, weights = mixed(images, targets, Augmentation(cutmix=1.0), draw(seed, 2))
        pasted = changed[1, 0] == 0
        assert weights[1, 0].item() == pytest.approx(pasted.float().mean().item(), abs=1e-7)
        if pasted.any():
            rectangle(pasted)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_share_of_mixup_is_of_the_beta_distribution(alpha: float) -> None:
    """Its mean is 1/2 and its variance 1 / (4 (2 alpha + 1))."""
    images, targets = batch(2)
    shares = [
        mixed(images, targets, Augmentation(mixup=alpha), draw(seed, 2))[1][0, 0].item()
        for seed in range(1200)
    ]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.15)
    assert 0 <= min(shares) < max(shares) <= 1


def test_with_mixup_and_cutmix_each_step_takes_one_of_both() -> None:
    images, targets = batch(2)
    both = Augmentation(mixup=4.0, cutmix=4.0)
    results = [mixed(images, targets, both, draw(seed, 2))[0][1] for seed in range(400)]
    blended = [0 < image.min().item() == image.max().item() < 1 for image in results]
    assert np.mean(blended) == pytest.approx(0.5, abs=0.1)


# ---------------------------------------------------------------------------- as a whole


def test_nothing_is_changed_by_default() -> None:
    images, targets = pixels((3, 1, 4, 4)), torch.tensor([0, 1, 2])
    nothing = Augmentation()
    assert moved(images, nothing, draw(0, 3)) is images
    floats = images.float()
    assert erased(floats, nothing, draw(0, 3)) is floats
    assert mixed(floats, targets, nothing, draw(0, 3)) == (floats, targets)


def test_processes_that_share_a_step_draw_what_one_would() -> None:
    augmentation = Augmentation(crop_padding=2, flip=True)
    images = pixels((7, 3, 6, 6))
    whole = moved(images, augmentation, draw(5, 7))
    for rank in range(3):
        mine = slice(rank, None, 3)
        assert torch.equal(moved(images[mine], augmentation, draw(5, 7, mine)), whole[mine])


@pytest.mark.parametrize(
    "fields",
    [
        {"crop_padding": -1},
        {"cutout": 1.5},
        {"erasing": 1.1},
        {"mixup": -0.1},
        {"label_smoothing": 1.0},
        {"policy": "auto"},
        {"mixupp": 1},
    ],
    ids=str,
)
def test_fields_are_checked_where_a_recipe_is_read(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, Augmentation)

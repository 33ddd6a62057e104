"""What is measured of a net, against sklearn, loops and numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, log_loss, top_k_accuracy_score
from torch import Tensor, nn

from archc.train.data import load_data
from archc.train.evaluation import (
    Answers,
    agreements,
    answers,
    averaged,
    calibration_error,
    confusion,
    measures,
)
from archc.viz.confusion import confusion_svg


def drawn(seed: int, count: int, classes: int) -> tuple[Tensor, Tensor]:
    """Logarithms of probabilities [N, classes] without ties, and classes [N]."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(count, classes, generator=generator)
    return logits.log_softmax(1), torch.randint(0, classes, (count,), generator=generator)


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(6, 12))
def test_accuracies_loss_and_confusion_are_those_of_sklearn(
    seed: int, count: int, classes: int
) -> None:
    logs, labels = drawn(seed, count, classes)
    found, known = measures(logs, labels), range(classes)
    probabilities = logs.double().exp()
    for k, value in ((1, found.top1), (5, found.top5)):
        score = top_k_accuracy_score(labels, logs, k=k, labels=known)
        assert value == pytest.approx(score, abs=1e-12)
    probabilities /= probabilities.sum(1, keepdim=True)
    # Rounding of float32 near a probability of 1 is as large as this, however small the loss is.
    likely = log_loss(labels, probabilities, labels=known)
    assert found.loss == pytest.approx(likely, rel=1e-5, abs=2e-7)
    predicted = logs.argmax(1)
    expected = confusion_matrix(labels, predicted, labels=list(known))
    assert np.array_equal(confusion(predicted, labels, classes), expected)


def test_fewer_than_five_classes_are_all_among_the_top_five() -> None:
    logs, labels = drawn(0, 20, 3)
    assert measures(logs, labels).top5 == 1


# ------------------------------------------------------------------------- calibration


def test_the_calibration_error_of_a_case_worked_out_by_hand() -> None:
    """With 2 bins. In the lower 0.3 and 0.5, one right: |1/2 - 0.4| on 2 images of 5. In the upper
    0.6, 0.8 and 1.0, all right: |1 - 0.8| on 3 of 5. Together 0.04 + 0.12."""
    confidences = torch.tensor([0.3, 0.8, 0.5, 0.6, 1.0], dtype=torch.float64)
    hits = torch.tensor([False, True, True, True, True])
    assert calibration_error(confidences, hits, bins=2) == pytest.approx(0.16)


def test_a_net_that_is_always_sure_and_always_right_is_calibrated() -> None:
    assert calibration_error(torch.ones(7), torch.ones(7).bool()) == 0
    assert calibration_error(torch.ones(8), torch.arange(8) < 2) == pytest.approx(0.75)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=40),
    st.sampled_from([1, 3, 10, 15]),
)
def test_the_calibration_error_equals_a_loop_over_bins(
    images: list[tuple[int, bool]], bins: int
) -> None:
    """Confidences are multiples of 1/30: many lie on the edges of bins, which have their upper."""
    thirtieths = [number for number, _ in images]
    hits = [hit for _, hit in images]
    expected = 0.0
    for m in range(1, bins + 1):
        inside = [
            i for i, n in enumerate(thirtieths) if 30 * (m - 1) < n * bins and n * bins <= 30 * m
        ]
        if inside:
            accuracy = sum(hits[i] for i in inside) / len(inside)
            confidence = sum(thirtieths[i] / 30 for i in inside) / len(inside)
            expected += len(inside) / len(images) * abs(accuracy - confidence)
    confidences = torch.tensor(thirtieths, dtype=torch.float64) / 30
    found = calibration_error(confidences, torch.tensor(hits), bins)
    assert found == pytest.approx(expected, abs=1e-9)


# ---------------------------------------------------------------------------- ensembles


def member(seed: int) -> Answers:
    logs = torch.stack([drawn(seed + 100 * exit_, 30, 4)[0] for exit_ in range(2)])
    return Answers(logs, drawn(0, 30, 4)[1])


def test_an_ensemble_averages_probabilities_exit_by_exit() -> None:
    members = [member(seed) for seed in range(3)]
    found = averaged(members).log_probabilities.exp()
    for exit_ in range(2):
        for n in range(30):
            for k in range(4):
                values = [math.exp(each.log_probabilities[exit_, n, k]) for each in members]
                assert found[exit_, n, k].item() == pytest.approx(sum(values) / 3, rel=1e-5)


def test_equal_members_are_their_ensemble() -> None:
    single = member(1)
    double = averaged([single, single])
    assert torch.allclose(double.log_probabilities, single.log_probabilities, atol=1e-6)
    assert agreements([single, single]) == [[1, 1], [1, 1]]


def test_agreements_are_shares_of_equal_predictions() -> None:
    members = [member(seed) for seed in range(3)]
    found = agreements(members)
    for i, a in enumerate(members):
        for j, b in enumerate(members):
            same = sum(int(x) == int(y) for x, y in zip(a.predicted, b.predicted, strict=True))
            assert found[i][j] == pytest.approx(same / 30)


# ------------------------------------------------------------------------------- a net


class Exits(nn.Module):
    """Two linear exits, with a dropout that evaluation leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout()
        self.early, self.last = nn.Linear(64, 10), nn.Linear(64, 10)

    def forward(self, image: Tensor) -> list[Tensor]:
        x: Tensor = self.dropout(image.flatten(1))
        return [self.early(x), self.last(x)]


def test_a_net_is_asked_in_evaluation_image_by_image() -> None:
    data, net = load_data("digits"), Exits()
    found = answers(net, lambda images: images, data.batches(data.test, 100))
    assert not net.training
    assert found.labels.tolist() == data.test.labels.tolist()
    with torch.no_grad():
        for n, batch in enumerate(data.batches(data.test, 1)):
            for exit_, logits in enumerate(net(batch.images)):
                expected = logits[0] - logits[0].exp().sum().log()
                assert torch.allclose(found.log_probabilities[exit_, n], expected, atol=1e-5)


# ----------------------------------------------------------------------------- picture


def test_a_confusion_matrix_is_drawn_with_names_and_numbers() -> None:
    names = ["cat", "dog & <hen>", "owl"]
    text = confusion_svg("Net on pets", names, [[90, 9, 1], [0, 50, 0], [0, 0, 0]])
    assert text.count("<rect") == 1 + 9
    assert "<title>cat as dog &amp; &lt;hen&gt;: 9 of 100 9.0%</title>" in text
    assert "owl as owl: 0 of 0 </title>" in text
    assert text.count(">90<") == text.count(">50<") == 1
    assert ">0<" not in text


def test_of_many_classes_only_the_colours_are_drawn() -> None:
    count = 100
    counts = [[7 if i == j else 0 for j in range(count)] for i in range(count)]
    text = confusion_svg("many", [f"class {i}" for i in range(count)], counts)
    assert text.count("<rect") == 1 + count
    assert ">class 5<" not in text

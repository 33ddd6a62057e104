"""docs/matrix.md: every pass and every technique on the first net of every shipped spec.

`pytest --full tests/test_matrix.py --update-golden` writes its rows anew. A row of the passes says
what they found; that outputs stay as each of them promises is tried apart.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import emitted
import matrix
import pytest
import torch
from documents import ROOT, table_after
from slimmed import images_of
from torch import nn

from archc.elaborate.files import shipped_specs
from archc.passes.base import Pass
from archc.passes.pipeline import DEFAULT, PASSES, for_inference
from archc.passes.share_memory import ShareMemory
from archc.passes.simplify import Simplify
from archc.passes.stochastic_depth import StochasticDepth
from archc.testing.models import Outcome, randomise, run
from archc.weights.inference import inference_weights

PAGE = ROOT / "docs" / "matrix.md"
HEADINGS = {"passes": "## Passes", "techniques": "## Techniques"}
QUICK = {
    "all_cnn",
    "convnext",
    "densenet_cifar",
    "dla",
    "msdnet_cifar",
    "nin",
    "resnet_cifar",
    "rkcnn",
    "unet",
    "xnor_net",
}
"""In a moment compiled; between them they have every word of the first table."""

STEPS: tuple[Pass, ...] = (
    Simplify(),
    StochasticDepth(),
    ShareMemory(),
    ShareMemory(recompute=True),
)
"""What is compared with the net at -O0, after `simplify`, where it changes anything.
tests/test_slimming_matrix.py does it for `slim`."""

each_spec = pytest.mark.parametrize("spec", list(shipped_specs()))


def quick_specs() -> Iterator[object]:
    for spec in shipped_specs():
        yield pytest.param(spec, marks=() if spec in QUICK else pytest.mark.full)


def row_of(spec: str, cells: list[str]) -> list[str]:
    return [f"[`{spec}`](zoo.md#{spec})", f"`{emitted.emit(spec, passes=()).graph.name}`", *cells]


def check_row(table: str, row: list[str], update: bool) -> None:
    if update:
        text = PAGE.read_text(encoding="utf-8")
        head, heading, rest = text.partition(f"{HEADINGS[table]}\n")
        line = re.compile(rf"^\| {re.escape(row[0])} \|.*$", re.MULTILINE)
        rest, count = line.subn(lambda _: f"| {' | '.join(row)} |", rest, count=1)
        assert count == 1, f"docs/matrix.md has no row for {row[0]}"
        PAGE.write_text(head + heading + rest, encoding="utf-8")
    assert row in table_after(PAGE, HEADINGS[table])


@pytest.mark.parametrize("spec", list(quick_specs()))
def test_passes_find_what_the_page_says(spec: str, update_golden: bool) -> None:
    row = row_of(spec, [cell(spec) for cell in matrix.PASSES.values()])
    check_row("passes", row, update_golden)


@pytest.mark.full
@each_spec
def test_techniques_do_what_the_page_says(spec: str, tmp_path: Path, update_golden: bool) -> None:
    pytest.importorskip("onnxruntime")
    subject = matrix.Subject(spec, tmp_path)
    row = row_of(spec, [cell(subject) for cell in matrix.TECHNIQUES.values()])
    check_row("techniques", row, update_golden)


def test_both_tables_have_a_row_for_each_shipped_spec_in_order() -> None:
    for heading in HEADINGS.values():
        names = [row[0] for row in table_after(PAGE, heading)]
        assert names == [f"[`{spec}`](zoo.md#{spec})" for spec in shipped_specs()]


def test_the_first_table_has_a_column_for_each_pass() -> None:
    text = PAGE.read_text(encoding="utf-8")
    columns = re.findall(r"`([^`]+)`", text.partition("\n| spec |")[2].partition("\n")[0])
    assert columns == list(matrix.PASSES)
    assert {name.partition("{")[0] for name in columns} == {each.name for each in PASSES}


def test_each_code_of_the_tables_is_said_below_them() -> None:
    cells = {c for h in HEADINGS.values() for row in table_after(PAGE, h) for c in row}
    codes = {cell for cell in cells if re.fullmatch(r"E\d{4}", cell)}
    said = re.findall(r"^- `(E\d{4})`: ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert said == sorted(codes)


# --------------------------------------------------------- outputs, as each pass promises


def built(spec: str, passes: tuple[Pass, ...]) -> nn.Module:
    torch.manual_seed(0)
    return emitted.emit(spec, passes=passes).build().double()


def differences(ours: Outcome, theirs: Outcome, gradients: bool) -> Iterator[tuple[str, float]]:
    """Of outputs, relative to the largest element; of a gradient, to the largest of its layer."""
    assert len(ours.outputs) == len(theirs.outputs)
    for i, (one, other) in enumerate(zip(ours.outputs, theirs.outputs, strict=True)):
        error = (one - other).abs().max() / other.abs().max().clamp(1e-9)
        yield f"output {i}", error.item()
    if not gradients:
        return
    scales: dict[str, float] = {}
    for key, gradient in theirs.gradients.items():
        layer = key.rpartition(".")[0]
        scales[layer] = max(scales.get(layer, 1e-9), float(gradient.abs().max()))
    for key in ours.gradients.keys() | theirs.gradients.keys():
        zero = torch.zeros(())
        one, other = ours.gradients.get(key, zero), theirs.gradients.get(key, zero)
        yield key, float((one - other).abs().max()) / scales[key.rpartition(".")[0]]


@pytest.mark.full
@each_spec
def test_outputs_and_gradients_are_those_that_the_passes_promise(spec: str) -> None:
    """In double precision, with statistics as of training; the noise is the same for both nets."""
    plain = built(spec, emitted.O0)
    generator = torch.Generator().manual_seed(3)
    for module in plain.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            randomise(module, generator)
    state = {key: value.clone() for key, value in plain.state_dict().items()}
    images = [x.double() for x in images_of(spec, emitted.emit(spec, passes=()).graph)]
    wanted = {}
    for training in (True, False):
        plain.load_state_dict(state)
        wanted[training] = run(plain, images, training=training)
    for step in STEPS:
        if matrix.PASSES[str(step)](spec) == matrix.NOTHING:
            continue
        net = built(spec, tuple(dict.fromkeys((Simplify(), step))))
        gradients = step.keeps == "outputs"
        for training in (True, False) if gradients else (False,):
            net.load_state_dict(state)
            found = run(net, images, training=training)
            for what, error in differences(found, wanted[training], gradients):
                assert error < 1e-7, f"{what} after {step}, training={training}: {error}"
    form = built(spec, for_inference(DEFAULT))
    form.load_state_dict(inference_weights(state, emitted.emit(spec).compilation))
    found = run(form, images, training=False)
    assert all(error < 1e-7 for _, error in differences(found, wanted[False], gradients=False))

"""What extern layers declare of their costs, in every total."""

from pathlib import Path

import pytest
from extern_specs import compiled

from archc.analysis.summary import Summary, summarize
from archc.diagnostics import ArchError

NET = """
@costs(params=0, macs=0)
extern layer Rotate(angle=90): [C, *S] -> [C, *S] from "lab:Rotate"(angle=angle)
{}
extern layer Other(k=3): [C, H, W] -> [C, H, W] from "lab:Other"(C, k)

net Net()(image: [8, {}]) {{
    x = image -> a: conv(8, 3) -> turn: Rotate -> other: Other(k=5)
    exit early: x -> head: conv(1, 1)
    x = x -> again: Rotate
    return x -> global_avg_pool -> fc: linear(10)
}}
"""
COSTS = "@costs(params=C * k + 1, macs=C * k * (H * 4))"
CONV, HEAD, LINEAR, OTHER = 8 * 8 * 9, 8, 90, 41
"""The parameters of the layers."""


def summary(folder: Path, annotation: str, sizes: str = "12, 12") -> Summary:
    return summarize(compiled(folder, NET.format(annotation, sizes)).graph)


def test_declared_costs_count_in_all_totals(tmp_path: Path) -> None:
    found = summary(tmp_path, COSTS)
    positions = 12 * 12
    shared = CONV * positions + 8 * 5 * 12 * 4
    assert found.params == CONV + HEAD + LINEAR + OTHER
    assert found.macs == shared + HEAD * positions + 80
    early, last = (item.cost.lazy for item in found.exits)
    assert (early.params, early.macs) == (CONV + OTHER + HEAD, shared + HEAD * positions)
    assert (last.params, last.macs) == (CONV + OTHER + LINEAR, shared + 80)
    assert found.externs == ()
    assert found.to_json()["params"] == found.params
    assert "?" not in str(found)


def test_a_symbolic_size_leaves_the_parameters_known(tmp_path: Path) -> None:
    found = summary(tmp_path, COSTS, "H, W").to_json()
    assert (found["params"], found["macs"]) == (CONV + HEAD + LINEAR + OTHER, None)


def test_one_layer_that_declares_nothing_makes_totals_unknown(tmp_path: Path) -> None:
    found = summary(tmp_path, "")
    assert (found.to_json()["params"], found.macs) == (None, None)
    assert found.externs == ("Other",)


@pytest.mark.parametrize(
    ("annotation", "says"),
    [(COSTS, "715 parameters, 86,096 multiply"), ("", "674 parameters and those of Other.")],
)
def test_the_emitted_file_says_what_is_known(tmp_path: Path, annotation: str, says: str) -> None:
    assert says in compiled(tmp_path, NET.format(annotation, "12, 12")).source()


def test_a_shared_layer_counts_its_parameters_once(tmp_path: Path) -> None:
    text = """
@costs(params=C, macs=C)
extern layer Gain(): [C, *S] -> [C, *S] from "lab:Gain"(C)

net Net()(image: [8, 12, 12]) {
    gain = Gain()
    return image -> gain -> gain
}
"""
    found = summarize(compiled(tmp_path, text).graph)
    assert (found.params, found.macs) == (8, 16)


@pytest.mark.parametrize(
    ("annotation", "code", "says"),
    [
        ("@costs(params=0)", "E0314", "`@costs` needs `macs`"),
        ("@costs(params=0, macs=0, bytes=0)", "E0312", "has no parameter `bytes`"),
        ("@costs(params=-1, macs=0)", "E0605", "`params` must be at least 0, not -1"),
        ("@costs(params=0.5, macs=0)", "E0605", "`params` must be a whole number, not 0.5"),
        ('@costs(params="few", macs=0)', "E0605", '`params` must be a whole number, not "few"'),
        ("@costs(params=D, macs=0)", "E0224", "no input of `Other` says what `D` is"),
        ("@costs(params=C ** 2, macs=0)", "E0224", "`+`, `-`, `*` and `//` only"),
        ("@costs(params=C - 9, macs=0)", "E0204", "`Other` declares -1 parameters here"),
        ("@costs(params=0, macs=H - 13)", "E0204", "declares -1 multiply-accumulates here"),
        ("@costs(params=0, macs=0)\n@costs(params=0, macs=0)", "E0605", "declared twice"),
        ("@init", "E0606", "before a net, not before an extern layer"),
        ("@cost(params=0, macs=0)", "E0604", "unknown annotation `@cost`"),
    ],
)
def test_wrong_declarations_are_refused(
    tmp_path: Path, annotation: str, code: str, says: str
) -> None:
    with pytest.raises(ArchError) as caught:
        summary(tmp_path, annotation)
    problem = caught.value.diagnostics[0]
    assert problem.code == code
    assert says in problem.message


def test_parameters_of_a_symbolic_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchError, match="is the symbolic size `H` here"):
        summary(tmp_path, "@costs(params=H, macs=0)", "H, W")


@pytest.mark.parametrize("kind", ["block", "net"])
def test_costs_are_declared_of_extern_layers_alone(tmp_path: Path, kind: str) -> None:
    shape = "" if kind == "block" else ": [8]"
    text = f"""
@costs(params=0, macs=0)
{kind} Part()(x{shape}) {{ return x -> relu }}

net Net()(image: [8]) {{ return image -> part: Part }}
"""
    with pytest.raises(ArchError, match="stands before an extern layer") as caught:
        compiled(tmp_path, text)
    assert caught.value.diagnostics[0].code == "E0606"


def test_annotations_of_the_users_own_are_ignored(tmp_path: Path) -> None:
    assert summary(tmp_path, '@x_author("me")\n' + COSTS).externs == ()

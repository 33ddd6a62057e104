"""`archc export`: files that other runtimes read, with the results of the net."""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import files, run
from torch import Tensor, nn
from torch.export import ExportedProgram

from archc.compiler import Request, compile_spec
from archc.diagnostics import ArchError, error
from archc.export import programs
from archc.export.conditional import OUTPUTS, with_exits
from archc.export.difference import check_close
from archc.export.nets import Exported, Leaving, alone, of_spec
from archc.export.onnx_file import checked, checked_leaving, conditional, onnx_file, onnx_model
from archc.export.programs import program_of, pt2_file
from archc.ir.dump import hyper_text

EXITS = """\
net Exits(classes=10)(image: [1, 8, 8]) {
    x = image -> a: conv(4, 3) -> norm: bn -> relu
    exit first: x -> global_avg_pool -> head: linear(classes)
    return x -> b: conv(4, 3) -> relu -> global_avg_pool -> fc: linear(classes)
}
"""

NETS: dict[str, dict[str, Any]] = {
    "densenet_cifar": {"depth": 10, "growth": 4, "size": 8},
    "resnet_cifar": {"depth": 8},
}

SMALL = {"exits": 3, "base": 1, "step": 1, "width": 4, "growth": 2, "hidden": 8, "factors": (1, 2)}


@pytest.fixture
def onnxruntime() -> Any:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    return pytest.importorskip("onnxruntime")


def _exported(spec: str, **settings: Any) -> Exported:
    texts = {name: hyper_text(value) for name, value in settings.items()}
    return of_spec(compile_spec(Request(spec, None, texts)), {}, None)


@pytest.fixture(scope="module")
def msdnet() -> tuple[Exported, Any]:
    """A small MSDNet, and its model of all exits for single samples."""
    exported = _exported("msdnet_cifar", **SMALL)
    return exported, onnx_model(exported, program_of(exported, 1), None)


@pytest.mark.parametrize("spec", NETS)
def test_onnxruntime_gives_what_the_net_gives_for_any_batch(spec: str, onnxruntime: Any) -> None:
    exported = _exported(spec, **NETS[spec])
    content = onnx_file(onnx_model(exported, program_of(exported, None), None), exported)
    for batch in (1, 3):
        difference = checked(content, exported, batch)
        assert difference is not None
        assert difference < 1e-5


def test_onnxruntime_gives_all_exits(onnxruntime: Any, msdnet: tuple[Exported, Any]) -> None:
    exported, model = msdnet
    assert [each.name for each in model.graph.output] == list(exported.outputs)
    difference = checked(onnx_file(model, exported), exported, 1)
    assert difference is not None
    assert difference < 1e-5


@pytest.mark.parametrize("criterion", ["confidence", "entropy"])
@pytest.mark.parametrize("thresholds", [(0.0, 0.0), (2.0, 0.0), (2.0, 2.0)], ids=str)
def test_what_comes_after_an_exit_does_not_run(
    onnxruntime: Any,
    msdnet: tuple[Exported, Any],
    thresholds: tuple[float, ...],
    criterion: str,
    tmp_path: Path,
) -> None:
    """Of convolutions onnxruntime runs, as its profile says, those of the exits up to that one."""
    exported, model = msdnet
    leaving = Leaving(thresholds, criterion)
    content = onnx_file(conditional(model, exported, leaving), exported)
    assert checked_leaving(content, exported, leaving) is not None

    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "profile")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (images,) = exported.examples(1)
    found = dict(zip(OUTPUTS, session.run(None, {"image": images.numpy()}), strict=True))
    events = json.loads(Path(session.end_profiling()).read_text())
    ran = [each["args"]["op_name"] for each in events if each["cat"] == "Node"]
    taken = sum(each > 1 for each in thresholds)
    assert found["exit"] == taken
    assert sum("Conv" in each for each in ran) == _convolutions(
        model, exported.results[: taken + 1]
    )


def _convolutions(model: Any, values: Sequence[str]) -> int:
    """The convolutions that values are computed by."""
    makers = {name: node for node in model.graph.node for name in node.output}
    found: dict[str, Any] = {}
    left = list(values)
    while left:
        name = left.pop()
        if name in makers and name not in found:
            found[name] = makers[name]
            left.extend(makers[name].input)
    return sum(node.op_type == "Conv" for node in found.values())


def test_one_exit_has_the_weights_that_it_needs(tmp_path: Path, onnxruntime: Any) -> None:
    path = tmp_path / "exits.arch"
    path.write_text(EXITS)
    exported = _exported(str(path))
    inputs = exported.examples(2)
    (wanted, _) = exported.run(inputs)
    whole = exported.net.state_dict().keys()
    one = alone(exported, "first")
    program = program_of(one, None, prune=True)
    kept = program.state_dict.keys()
    assert kept == {key for key in whole if key.partition(".")[0] in ("a", "norm", "head")}
    content, difference = pt2_file(one, program, None)
    assert difference == 0
    assert b"/" not in b"".join(line for line in content.split(b"\n") if b"stack_trace" in line)
    assert torch.equal(one.run(inputs)[0], wanted)
    assert checked(onnx_file(onnx_model(one, program, None), one), one, None) is not None


def test_results_that_differ_are_refused(tmp_path: Path) -> None:
    exported = _exported("resnet_cifar", depth=8)
    right = torch.tensor([1.0, -2.0])
    assert check_close(exported, [right], [right]) == 0
    assert check_close(exported, [right * (1 + 1e-6)], [right]) < 1e-5
    for wrong in (right + 0.1, right * float("nan"), right[:1]):
        with pytest.raises(ArchError) as caught:
            check_close(exported, [right, wrong], [right, right])
        assert caught.value.diagnostics[0].code == "E1062"


def test_a_run_leaves_by_the_thresholds_that_it_was_calibrated_to(
    onnxruntime: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("exits.arch").write_text(EXITS)
    train = "train exits.arch --data digits --epochs 1 --batch-size 512 --val 0.1 --out run"
    assert run(*train.split()).exit_code == 0
    export = ("export", "run", "--onnx", "leaving.onnx", "--exits", "cond")
    assert "E1060" in run(*export).stderr
    assert run("calibrate", "run", "--budget", "60%").exit_code == 0
    result = run(*export)
    assert result.exit_code == 0, result.stderr
    assert "wrote leaving.onnx" in result.stderr
    assert "warning" not in result.stderr
    assert "in onnxruntime its results" in result.stderr
    again = run(*export)
    assert "E0801" in again.stderr


def test_an_ensemble_leaves_by_thresholds_of_its_own(
    onnxruntime: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of other weights are refused: they were not chosen for these."""
    monkeypatch.chdir(tmp_path)
    Path("exits.arch").write_text(EXITS)
    train = "train exits.arch --data digits --epochs 2 --batch-size 512 --val 0.1 --out run"
    cyclic = ("--recipe-set", "schedule={name: cyclic, cycles: 2}")
    assert run(*train.split(), *cyclic).exit_code == 0
    assert run("calibrate", "run", "--budget", "60%", "--ensemble", "all").exit_code == 0
    export = ("export", "run", "--exits", "cond", "--onnx")
    result = run(*export, "leaving.onnx", "--ensemble", "all")
    assert result.exit_code == 0, result.stderr
    assert "in onnxruntime its results" in result.stderr
    for options in ((), ("--ensemble", "last:1"), ("--weights", "best")):
        refused = run(*export, "other.onnx", *options)
        assert "error[E1060]" in refused.stderr
        assert "for the weights snapshots/cycle-1, snapshots/cycle-2, not for" in refused.stderr
        assert not Path("other.onnx").exists()
    assert run(*export, "other.onnx", "--thresholds", "0.5").exit_code == 0
    for wrong in (("run", "--weights", "best"), ("exits.arch",)):
        assert run("export", *wrong, "--ensemble", "all", "--onnx", "no.onnx").exit_code == 2


class OfTwo(nn.Module):
    """What torch.export takes for one size of the batch alone."""

    def forward(self, image: Tensor) -> Tensor:
        return image.flatten(1) if len(image) in (1, 2) else image.flatten(2)


def test_a_net_that_takes_some_batches_alone_is_exported_for_these() -> None:
    exported = Exported("OfTwo", OfTwo().eval(), ((1, 8, 8),), ("return",))
    with pytest.raises(ArchError) as caught:
        program_of(exported, None)
    assert caught.value.diagnostics[0].code == "E1061"
    assert caught.value.diagnostics[0].help == "`--batch 1` exports it for single samples"
    content, difference = pt2_file(exported, program_of(exported, 1), 1)
    assert content
    assert difference == 0


def test_where_no_batch_of_any_size_is_taken_it_is_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("exits.arch").write_text(EXITS)
    traced = programs._traced

    def refusing(exported: Exported, batch: int | None) -> ExportedProgram:
        if batch is None:
            raise error("E1061", "not for any batch")
        return traced(exported, batch)

    monkeypatch.setattr(programs, "_traced", refusing)
    assert "E1061" in run("export", "exits.arch", "--pt2", "a.pt2", "--batch", "dynamic").stderr
    assert files() == ["exits.arch"]
    result = run("export", "exits.arch", "--pt2", "a.pt2")
    assert result.exit_code == 0, result.stderr
    assert "the batch is 1" in result.stderr
    assert files() == ["a.pt2", "exits.arch"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "give a file to write"),
        ("--onnx a.onnx --batch 0", "from 1"),
        ("--onnx a.onnx --batch some", "takes a number"),
        ("--pt2 a.pt2 --exits cond", "for `--onnx` alone"),
        ("--onnx a.onnx --exits cond --batch 4", "the batch is 1"),
        ("--onnx a.onnx --thresholds 0.5", "are for `--exits cond`"),
        ("--openvino a.onnx", "is an `.xml`"),
        ("--pt2 a.pt2 --exits third", "no exit `third`"),
        ("--pt2 a.pt2 --exits 2", "no exit `2`"),
        ("--onnx a.onnx --exits cond", "no thresholds"),
        ("--onnx a.onnx --exits cond --thresholds 0.5,high", "no thresholds"),
        ("--onnx a.onnx --exits cond --thresholds 0.5,0.5", "takes 1"),
    ],
)
def test_what_cannot_be_exported_leaves_nothing(
    options: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("exits.arch").write_text(EXITS)
    result = run("export", "exits.arch", *options.split())
    assert result.exit_code in (1, 2)
    assert said in " ".join(result.stderr.replace("│", " ").split())
    assert files() == ["exits.arch"]


@pytest.mark.skipif(
    importlib.util.find_spec("openvino") is not None, reason="OpenVINO is installed"
)
def test_a_runtime_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("export", "resnet_cifar", "--openvino", "a.xml")
    assert result.exit_code == 1
    assert "E1063" in result.stderr
    assert "pip install openvino" in result.stderr
    assert files() == []


def test_openvino_gives_what_the_net_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.chdir(tmp_path)
    Path("exits.arch").write_text(EXITS)
    result = run("export", "exits.arch", "--openvino", "a.xml")
    assert result.exit_code == 0, result.stderr
    assert files() == ["a.bin", "a.xml", "exits.arch"]


@pytest.mark.parametrize("scores", [[[3.0]], [[2.0, float("-inf")]]], ids=["one", "ruled out"])
def test_what_is_sure_leaves_by_its_entropy(scores: list[list[float]]) -> None:
    """Of one class all are sure, and so they are where all others are ruled out."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    helper, classes = onnx.helper, len(scores[0])
    kind = onnx.TensorProto.FLOAT, [1, classes]
    nodes = [helper.make_node("Identity", ["x"], [name]) for name in ("early", "late")]
    given = [helper.make_tensor_value_info(name, *kind) for name in ("early", "late")]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", *kind)], given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    made = with_exits(model, ["early", "late"], (0.999,), "entropy")
    session = runtime.InferenceSession(made.SerializeToString())
    found = dict(zip(OUTPUTS, session.run(None, {"x": np.array(scores, np.float32)}), strict=True))
    assert found["exit"].tolist() == [0]
    assert found["confidence"].tolist() == [1.0]

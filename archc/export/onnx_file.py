"""A program as an ONNX file, and what onnxruntime makes of it."""

import importlib.util
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from archc.diagnostics import error, printable
from archc.export.conditional import OUTPUTS, with_exits
from archc.export.difference import check_close
from archc.export.nets import Exported, Leaving
from archc.export.quiet import quietly

NEEDED = ("onnx", "onnxscript")


def require(*modules: str) -> None:
    """Raise an ArchError that names the modules which this Python lacks."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        what = f"this export needs {', '.join(missing)}, which this Python lacks"
        raise error("E1063", what, help=f"pip install {' '.join(missing)}")


def onnx_model(exported: Exported, program: ExportedProgram, opset: int | None) -> Any:
    """The `onnx.ModelProto` of a program; inputs and results have the names of the net's.

    Raises ArchError where an operator is not of the standard, or the opset is none.
    """
    try:
        with quietly():
            made = torch.onnx.export(
                program,
                exported.examples(2),
                input_names=exported.inputs,
                output_names=exported.results,
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
        assert made is not None
        model = made.model_proto
        import_module("onnx").checker.check_model(model, full_check=True)
    except Exception as problem:
        what = str(problem).strip().partition("\n")[0] or type(problem).__name__
        what = f"`{exported.name}` cannot be an ONNX file: {printable(what)}"
        raise error("E1061", what) from problem
    if opset is not None and opset not in {each.version for each in model.opset_import}:
        what = f"`{exported.name}` cannot be an ONNX file of opset {opset}"
        raise error("E1061", what, help="without `--opset` it has the one that torch writes")
    _forget_origin(model)
    return model


def _forget_origin(model: Any) -> None:
    """Remove what torch notes of every node, of which the paths of this machine are a part."""
    graph = model.graph
    for each in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del each.metadata_props[:]
        each.doc_string = ""
    del graph.metadata_props[:]


def onnx_file(model: Any, exported: Exported) -> bytes:
    """The bytes of a model. Raises ArchError for more than a file can have."""
    try:
        content: bytes = model.SerializeToString()
    except Exception as problem:
        what = f"`{exported.name}` does not fit into one ONNX file, which has at most 2 GiB"
        raise error("E1061", what) from problem
    return content


def checked(content: bytes, exported: Exported, batch: int | None) -> float | None:
    """The largest difference between what onnxruntime gives and the net's results; None without
    onnxruntime. Raises ArchError where these are not equal."""
    session = _session(content)
    if session is None:
        return None
    inputs = exported.examples(batch or 3)
    return check_close(exported, _ran(session, exported, inputs), exported.run(inputs))


def conditional(model: Any, exported: Exported, leaving: Leaving) -> Any:
    """The model of all exits as one that computes no exit after that at which its sample leaves."""
    return with_exits(model, exported.results, leaving.thresholds, leaving.criterion)


def checked_leaving(content: bytes, exported: Exported, leaving: Leaving) -> float | None:
    """As `checked`, where samples leave, of what the net's `predict` says of single ones."""
    session = _session(content)
    if session is None:
        return None
    net: Any = exported.net
    differences = []
    for row in range(3):
        inputs = [each[row : row + 1] for each in exported.examples(3)]
        found = dict(zip(OUTPUTS, _ran(session, exported, inputs), strict=True))
        theirs = net.predict(*inputs, leaving.thresholds, leaving.criterion)
        scores = exported.run(inputs)[int(theirs.exit)]
        if not torch.equal(found["exit"], theirs.exit):
            raise error("E1062", f"samples leave the file elsewhere than `{exported.name}`")
        ours = [found["scores"], found["confidence"]]
        differences.append(check_close(exported, ours, [scores, theirs.confidence]))
    return max(differences)


def _session(content: bytes) -> Any:
    """A model in onnxruntime; None where that is not installed."""
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors
    return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _ran(session: Any, exported: Exported, inputs: Sequence[Tensor]) -> list[Tensor]:
    named = {n: x.numpy() for n, x in zip(exported.inputs, inputs, strict=True)}
    return [torch.from_numpy(each) for each in session.run(None, named)]

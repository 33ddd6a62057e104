"""A program as the two files of OpenVINO: the net as XML, and its weights."""

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from archc.diagnostics import error, printable
from archc.export.difference import check_close
from archc.export.nets import Exported
from archc.export.quiet import quietly


def openvino_files(
    exported: Exported, program: ExportedProgram, batch: int | None
) -> tuple[bytes, bytes, float]:
    """The XML, the weights, and the largest difference between the results of OpenVINO on the CPU
    and those of the net. Raises ArchError where these are not equal, or OpenVINO refuses."""
    openvino: Any = import_module("openvino")
    try:
        with quietly():
            model = openvino.convert_model(program)
        for port, name in zip(model.outputs, exported.results, strict=True):
            port.get_tensor().set_names({name})
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net.xml"
            openvino.save_model(model, path, compress_to_fp16=False)
            files = path.read_bytes(), path.with_suffix(".bin").read_bytes()
            compiled = openvino.Core().compile_model(
                path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
            )
            inputs = exported.examples(batch or 3)
            found = compiled([each.numpy() for each in inputs])
            results = [torch.from_numpy(found[port].copy()) for port in compiled.outputs]
    except Exception as problem:
        what = str(problem).strip().partition("\n")[0] or type(problem).__name__
        what = f"OpenVINO cannot take `{exported.name}`: {printable(what)}"
        raise error("E1061", what) from problem
    return *files, check_close(exported, results, exported.run(inputs))

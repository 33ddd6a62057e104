"""A net as a program of torch.export."""

import io
from collections import defaultdict

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from archc.diagnostics import error, printable
from archc.export.difference import check_close
from archc.export.nets import Exported

_TRACED = 2
"""The batch that a program for any batch is traced with: 0 and 1 are special to torch."""


def program_of(exported: Exported, batch: int | None, *, prune: bool = False) -> ExportedProgram:
    """The program of a net for a batch, or for any. `prune` takes the weights that it does not
    read from the net, and so from the program.

    Raises ArchError where torch.export cannot say what the net does.
    """
    found = _traced(exported, batch)
    if prune and _remove_unread(exported.net, found):
        found = _traced(exported, batch)
    for node in found.graph.nodes:
        node.meta.pop("stack_trace", None)  # it has the paths of this machine
    return found


def _traced(exported: Exported, batch: int | None) -> ExportedProgram:
    examples = exported.examples(_TRACED if batch is None else batch)
    dynamic = tuple({0: Dim("batch")} for _ in examples) if batch is None else None
    try:
        with torch.no_grad():
            return torch.export.export(exported.net, examples, dynamic_shapes=dynamic)
    except Exception as problem:
        what = str(problem).strip().partition("\n")[0] or type(problem).__name__
        raise error(
            "E1061",
            f"torch.export cannot take `{exported.name}`: {printable(what)}",
            help="`--batch 1` exports it for single samples" if batch is None else None,
        ) from problem


def _remove_unread(net: nn.Module, program: ExportedProgram) -> bool:
    """Take the outermost modules from a net of whose weights a program reads none; whether any."""
    signature = program.graph_signature
    keys = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    read: dict[str, bool] = defaultdict(bool)
    for node in program.graph.nodes:
        parts = keys.get(node.name, "").split(".") if node.op == "placeholder" else []
        for length in range(1, len(parts)):
            read[".".join(parts[:length])] |= bool(node.users)
    unread = {path for path, used in read.items() if not used}
    for path in unread:
        around, _, name = path.rpartition(".")
        if around not in unread:
            delattr(net.get_submodule(around), name)
    return bool(unread)


def pt2_file(
    exported: Exported, program: ExportedProgram, batch: int | None
) -> tuple[bytes, float]:
    """The file of a program (`torch.export.load` reads it), and the largest difference between
    its results and those of the net. Raises ArchError where these are not equal."""
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    buffer.seek(0)
    inputs = exported.examples(batch or 3)
    with torch.no_grad():
        found = torch.export.load(buffer).module()(*inputs)
    results = [found] if isinstance(found, torch.Tensor) else list(found)
    return buffer.getvalue(), check_close(exported, results, exported.run(inputs))

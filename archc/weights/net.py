"""The net that a file has weights for: its state_dict, how it begins, what metadata say of it."""

import json
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from archc.api import Model
from archc.compiler import Compilation
from archc.diagnostics import error
from archc.ops.activation import SignSte
from archc.ops.parameter import Param
from archc.ops.reduction import AbsMean
from archc.train.packed import packed
from archc.train.tensors import weights_file


def keys_of(compilation: Compilation) -> dict[str, Tensor]:
    """The state_dict of the net on the meta device: keys, shapes and types without values."""
    with torch.device("meta"):
        return Model(compilation).build().state_dict()


def begun(compilation: Compilation, keys: Collection[str], seed: int) -> dict[str, Tensor]:
    """The weights of these keys as the net begins with them after `torch.manual_seed(seed)`."""
    if not keys:
        return {}
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        state = Model(compilation).build().state_dict()
    return {key: state[key] for key in keys}


def origin(compilation: Compilation) -> dict[str, str]:
    """The metadata of a file of weights: the text of the spec, the net, and what was set."""
    return {
        "spec": compilation.program.source.text,
        "net": compilation.graph.name,
        "settings": json.dumps(dict(compilation.request.arguments)),
    }


def content_of(compilation: Compilation, state: Mapping[str, Tensor]) -> bytes:
    """The file of a net's weights."""
    return weights_file(state, origin(compilation))


def packed_content_of(compilation: Compilation, state: Mapping[str, Tensor]) -> bytes:
    """The file in which the binary weights are signs and scales. Raises ArchError."""
    found, metadata = packed(state, binary_weights(compilation))
    return weights_file(found, {**origin(compilation), **metadata})


def binary_weights(compilation: Compilation) -> list[str]:
    """The keys of the learned tensors of which a net reads the signs, and at most the mean size of
    each filter besides. Raises ArchError where there are none."""
    graph = compilation.graph
    readers = {
        ".".join(node.layer.path or ()): [graph.node(user).op for user, _ in graph.users(node.id)]
        for node in graph.nodes()
        if isinstance(node.op, Param)
    }
    found = [
        key
        for key, ops in readers.items()
        if any(isinstance(op, SignSte) for op in ops)
        and all(isinstance(op, SignSte | AbsMean) for op in ops)
    ]
    if not found:
        what = f"`{graph.name}` has no weights of which it reads only signs and mean sizes"
        raise error("E1042", what)
    return found

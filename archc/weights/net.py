"""The net that a file has weights for: its state_dict, how it begins, what metadata say of it."""

import json
from collections.abc import Collection

import torch
from torch import Tensor

from archc.api import Model
from archc.compiler import Compilation


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

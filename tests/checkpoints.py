"""Checkpoints as others publish them: the keys of well-known code for the nets of shipped specs.

Tensors are views of one number each, so that it costs nothing to say which weight came from where.
"""

import re
from collections.abc import Mapping
from functools import cache
from itertools import groupby

import emitted
import torch
from torch import Tensor

from archc.passes.pipeline import DEFAULT
from archc.weights.layers import COUNTER

State = dict[str, Tensor]


@cache
def _shapes(spec: str, net: str, **settings: int) -> Mapping[str, Tensor]:
    with torch.device("meta"):
        return emitted.emit(spec, net, DEFAULT, **settings).build().state_dict()


def keys_of(spec: str, net: str, **settings: int) -> State:
    """The state_dict of a net on the meta device."""
    return dict(_shapes(spec, net, **settings))


def numbered(net: State) -> State:
    """A state_dict in which the k-th weight is k everywhere."""
    return {
        key: torch.tensor(float(k)).expand(tensor.shape)
        for k, (key, tensor) in enumerate(net.items())
        if not key.endswith(COUNTER)
    }


def same_weights(found: Mapping[str, Tensor], net: State) -> bool:
    """Whether each weight is the one that `numbered` put there."""
    wanted = numbered(net)
    return all(found[key].flatten()[0] == tensor.flatten()[0] for key, tensor in wanted.items())


def renamed(state: State, *rules: tuple[str, str]) -> State:
    """With keys in which patterns are replaced, one after the other."""
    found = {}
    for key, tensor in state.items():
        name = key
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        found[name] = tensor
    assert len(found) == len(state)
    return found


def opaque(state: State) -> State:
    """With a name for each module that says nothing, in the same order."""
    names: dict[str, str] = {}
    found = {}
    for key, tensor in state.items():
        *modules, weight = key.split(".")
        parts = [names.setdefault(part, f"m{len(names)}") for part in modules]
        found[".".join([*parts, weight])] = tensor
    return found


def slimming_densenet(state: State) -> State:
    """Of network slimming: layers are counted from 0, and all but VGG select channels."""
    found = renamed(
        state,
        (r"^features\.conv0\.", "conv1."),
        (r"^features\.denseblock(\d)\.denselayer(\d+)\.norm1\.", r"dense\1.\2.bn1."),
        (r"^features\.denseblock(\d)\.denselayer(\d+)\.", r"dense\1.\2."),
        (r"^features\.transition(\d)\.norm\.", r"trans\1.bn1."),
        (r"^features\.transition(\d)\.conv\.", r"trans\1.conv1."),
        (r"^features\.norm5\.", "bn."),
        (r"^classifier\.", "fc."),
    )
    found = {
        re.sub(r"(?<=^dense\d\.)\d+", lambda m: str(int(m[0]) - 1), k): v for k, v in found.items()
    }
    return with_selections(found)


def with_selections(state: State) -> State:
    """With the indices that stand behind each first batch norm of a block."""
    found: State = {}
    for key, tensor in state.items():
        found[key] = tensor
        if key.endswith(".running_var") and re.search(r"(^|\.)bn1?\.", key):
            around = re.sub(r"bn1?\.running_var$", "", key)
            found[f"{around}select.indexes"] = torch.ones(len(tensor))
    return found


def kalviny_msdnet(state: State) -> State:
    """Of MSDNet-PyTorch: layers in the block of their exit, all classifiers at the end."""
    trunk: State = {}
    heads: State = {}
    block, index = 0, 0
    for top, keys in groupby(state, key=lambda key: key.partition(".")[0]):
        inside = {key.partition(".")[2]: state[key] for key in keys}
        if top.startswith("classifier"):
            heads |= {f"classifier.{block}.{_head(key)}": inside[key] for key in inside}
            block, index = block + 1, 0
        else:
            around = "m" if top.startswith("transition") else "layers"
            first = min(int(key[5]) for key in inside)  # of the scales that are left
            for key, tensor in inside.items():
                scale, _, rest = key.partition(".")
                path = f"blocks.{block}.{index}.{around}.{int(scale[5:]) - first}"
                trunk[f"{path}.{_unit(rest)}"] = tensor
            index += 1
    return {f"module.{key}": tensor for key, tensor in {**trunk, **heads}.items()}


def _head(key: str) -> str:
    inner = re.sub(r"^conv([12])\.", lambda m: f"m.{int(m[1]) - 1}.", key)
    return re.sub(r"\.(conv|norm)\.", lambda m: f".net.{int(m[1] == 'norm')}.", inner)


def _unit(key: str) -> str:
    for name, place in (("reduce.conv", 0), ("reduce.norm", 1), ("extract.conv", 3)):
        key = key.replace(f"{name}.", f"net.{place}.")
    key = key.replace("extract.norm.", "net.4.")
    key = key.replace("down.", "conv_down.").replace("same.", "conv_normal.")
    return re.sub(r"^(conv|norm)\.", lambda m: f"net.{int(m[1] == 'norm')}.", key)

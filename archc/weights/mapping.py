"""A checkpoint's tensors as the weights of a net."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from archc.diagnostics import did_you_mean, error
from archc.weights.checkpoint import Checkpoint
from archc.weights.layers import COUNTER, KeyedLayer, Sizes, key, layers_of
from archc.weights.matching import match
from archc.weights.sources import Source, renamed

StateDict = Mapping[str, Tensor]


@dataclass(frozen=True)
class MappedKey:
    """A weight: its key in the checkpoint and in ours, its shape in ours, and there if other."""

    theirs: str
    ours: str
    shape: Sizes
    there: Sizes


@dataclass(frozen=True)
class Missing:
    """A weight of the net that no tensor is certain to be, and why; `width` is what the layer
    gives that differs from its layer in that alone, as the head of a net with other classes."""

    key: str
    shape: Sizes
    why: str
    width: int | None = None


@dataclass(frozen=True)
class Mapped:
    """What was found: `state` has the found weights by our keys, of the net's types.

    `left` are keys of the checkpoint that are no weight of the net, with their shapes; `counters`
    the counters of batches that begin at 0 as the checkpoint has none; `kept` the keys that were
    excepted.
    """

    rows: Sequence[MappedKey]
    missing: Sequence[Missing]
    left: Mapping[str, Sizes]
    counters: Sequence[str]
    kept: Sequence[str]
    state: StateDict


def map_checkpoint(
    checkpoint: Checkpoint,
    net: StateDict,
    sources: Sequence[Source],
    excepted: Collection[str] = (),
) -> Mapped:
    """Find the weights of a net, whose state_dict says keys, shapes and types (it may be on the
    meta device), but for those in modules that are `excepted`.

    Raises ArchError where such a module is none, and for a net that selects channels.
    """
    kept = _kept(net, excepted)
    wanted = {name: tensor for name, tensor in net.items() if name not in kept}
    originals = renamed(checkpoint.state, wanted, sources)
    shapes = {name: tuple(checkpoint.state[each].shape) for name, each in originals.items()}
    ours = layers_of({name: tuple(tensor.shape) for name, tensor in wanted.items()})
    theirs = layers_of(shapes)
    pairs = match(ours, _as_linear(theirs, ours), ordered=checkpoint.ordered)
    keys = {
        key(path, name): key(pairs[path], name)
        for path, name in ((n.rpartition(".")[0], n.rpartition(".")[2]) for n in wanted)
        if path in pairs
    }
    found = {name: originals[there] for name, there in keys.items() if there in originals}
    return Mapped(
        rows=[
            MappedKey(there, name, tuple(wanted[name].shape), tuple(checkpoint.state[there].shape))
            for name, there in found.items()
        ],
        missing=_missing(ours, theirs, pairs),
        left=_left(checkpoint.state, set(originals.values()) - set(found.values())),
        counters=[name for name in keys if name not in found],
        kept=kept,
        state={name: _taken(checkpoint.state, found.get(name), wanted[name]) for name in keys},
    )


def _kept(net: StateDict, excepted: Collection[str]) -> list[str]:
    """The keys in some modules."""
    paths = [name.split(".") for name in net]
    modules = {".".join(parts[:i]) for parts in paths for i in range(1, len(parts))}
    for name in excepted:
        if name not in modules:
            help = did_you_mean(name, modules)
            raise error("E1041", f"`--except {name}`: the net has no such module", help=help)
    return [k for k in net if any(f"{k}.".startswith(f"{name}.") for name in excepted)]


def _taken(state: StateDict, original: str | None, ours: Tensor) -> Tensor:
    """A tensor as the net has it; without one the counter of a norm, at 0."""
    if original is None:
        return torch.zeros(ours.shape, dtype=ours.dtype)
    return state[original].reshape(ours.shape).to(ours.dtype)


def _as_linear(theirs: Sequence[KeyedLayer], ours: Sequence[KeyedLayer]) -> list[KeyedLayer]:
    """Their layers; convolutions over whole inputs as the linear layers that ours are instead."""
    forms = {layer.form for layer in ours}
    return [
        replace(layer, shapes=dict(layer.flat))
        if layer.form not in forms and layer.flat in forms
        else layer
        for layer in theirs
    ]


def _missing(
    ours: Sequence[KeyedLayer], theirs: Sequence[KeyedLayer], pairs: Mapping[str, str]
) -> list[Missing]:
    taken = set(pairs.values())
    left = [layer for layer in theirs if layer.path not in taken]
    return [
        Missing(key(layer.path, name), shape, *_reason(layer, left))
        for layer in ours
        if layer.path not in pairs
        for name, shape in layer.shapes.items()
    ]


def _reason(layer: KeyedLayer, left: Sequence[KeyedLayer]) -> tuple[str, int | None]:
    """Why a layer was found nowhere among those that are left."""
    like = [each.path for each in left if each.form == layer.form]
    if like:
        some = ", ".join(f"`{path}`" for path in like[:3])
        more = f" or {len(like) - 3} more" if len(like) > 3 else ""
        return f"it may be {some}{more}, and nothing says which", None
    others = [each for each in left if _but_for_width(layer, each)]
    if len(others) == 1:
        width = others[0].form[-1][1][0]
        return f"`{others[0].path}` gives {width}, not {layer.form[-1][1][0]}", width
    return "no layer that is left has its shapes", None


def _but_for_width(one: KeyedLayer, other: KeyedLayer) -> bool:
    """Whether two linear layers with a bias read the same and give other widths."""
    forms = [[(name, shape[1:]) for name, shape in layer.form] for layer in (one, other)]
    return forms[0] == forms[1] and [len(shape) for _, shape in one.form] == [1, 2]


def _left(state: StateDict, names: set[str]) -> dict[str, Sizes]:
    return {
        name: tuple(tensor.shape)
        for name, tensor in state.items()
        if name in names and not name.endswith(COUNTER)
    }

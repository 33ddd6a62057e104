"""The weights of a net that only infers, from those of the net that was trained."""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from archc.compiler import Compilation, compile_spec
from archc.ir.graph import Graph, Node
from archc.ops.convolution import ConvTranspose
from archc.ops.normalization import BatchNorm
from archc.passes.fold_norms import FoldNorms, folds, in_evaluation
from archc.passes.pipeline import for_inference
from archc.weights.layers import COUNTER, key

StateDict = Mapping[str, Tensor]


def inference_form(compilation: Compilation) -> Compilation:
    """The same net as `archc compile --for inference` makes it. Raises ArchError."""
    request = compilation.request
    return compile_spec(replace(request, passes=for_inference(request.passes)))


def inference_weights(state: StateDict, compilation: Compilation) -> dict[str, Tensor]:
    """The state_dict of `inference_form(compilation)` from one of the net itself.

    Computed in double precision, and rounded once to the types that `state` has. A batch norm
    y = (x - mean) * w / sqrt(var + eps) + b multiplies the weights before it, and moves their bias.
    """
    request = compilation.request
    passes = for_inference(request.passes)
    before = passes[: passes.index(FoldNorms())]
    graph = in_evaluation(compile_spec(replace(request, passes=before)).graph)
    found = dict(state)
    for layer, norm in folds(graph):
        _fold(found, graph, layer, norm)
    return found


def _fold(state: dict[str, Tensor], graph: Graph, layer: Node, norm: Node) -> None:
    op, own, theirs = norm.op, ".".join(layer.layer.path or ()), ".".join(norm.layer.path or ())
    assert isinstance(op, BatchNorm)

    def taken(name: str) -> Tensor:
        return state.pop(key(theirs, name)).double()

    scale = (taken("running_var") + op.eps).rsqrt()
    shift = -taken("running_mean") * scale
    if op.affine:
        factor = taken("weight")
        scale, shift = scale * factor, shift * factor + taken("bias")
    state.pop(key(theirs, COUNTER), None)
    name, bias = key(own, "weight"), key(own, "bias")
    weight = state[name]
    if bias in state:
        shift = shift + state[bias].double() * scale
    if isinstance(layer.op, ConvTranspose):  # [C, out / groups, *K]: outputs are the second axis
        groups = layer.op.channel_groups(*graph.operand_types(layer.id))
        factors = scale.view(groups, 1, -1).expand(-1, len(weight) // groups, -1)
        factors = factors.reshape(len(weight), -1)
    else:
        factors = scale
    axes = (1,) * (weight.dim() - factors.dim())
    state[name] = (weight.double() * factors.reshape(*factors.shape, *axes)).to(weight.dtype)
    state[bias] = shift.to(weight.dtype)

"""The oracle of the tests: what each operator of the language means, one slow function each, and
the walk of a graph that applies them.

Written from the documentation of the language and of torch, never from an operator's torch text.
Where emitted code has to agree bit for bit it rests on the same documented primitives of torch.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from archc.ir.graph import Graph, Node
from archc.ops.activation import Identity, Relu, Sigmoid, StopGradient
from archc.ops.arithmetic import Add, Mul
from archc.ops.convolution import Conv
from archc.ops.linear import Linear
from archc.ops.normalization import BatchNorm
from archc.ops.op import Op
from archc.ops.parameter import Param
from archc.ops.pooling import AvgPool, GlobalAvgPool, MaxPool
from archc.ops.regularization import Dropout, DropPath
from archc.ops.tensor import Concat, Flatten, Pad, Take, Upsample

Weights = Mapping[str, Tensor]


class Interpreter:
    """Applies operators to tensors.

    `weights` are a layer's state_dict entries by their names below the layer; running statistics
    among them change in place, in training. Random operators draw from torch's global generator.
    """

    def apply(self, op: Op, operands: Sequence[Tensor], weights: Weights, training: bool) -> Tensor:
        method: Callable[..., Tensor] = getattr(self, op.name)
        return method(op, operands, weights, training)

    def conv(self, op: Conv, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        (x,) = operands
        axes = x.dim() - 2
        kernel, dilation = _numbers(op.kernel, axes), _numbers(op.dilation, axes)
        if op.padding == "same":
            padding = [(k - 1) // 2 * d for k, d in zip(kernel, dilation, strict=True)]
        else:
            assert not isinstance(op.padding, str)
            padding = _numbers(op.padding, axes)
        convolve = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}[axes]
        y: Tensor = convolve(
            x,
            weights["weight"],
            weights["bias"] if op.bias else None,
            stride=_numbers(op.stride, axes),
            padding=padding,
            dilation=dilation,
            groups=op.groups,
        )
        return y

    def linear(self, op: Linear, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        return functional.linear(
            operands[0], weights["weight"], weights["bias"] if op.bias else None
        )

    def bn(
        self, op: BatchNorm, operands: Sequence[Tensor], weights: Weights, training: bool
    ) -> Tensor:
        if training:
            weights["num_batches_tracked"].add_(1)
        return functional.batch_norm(
            operands[0],
            weights["running_mean"],
            weights["running_var"],
            weight=weights["weight"] if op.affine else None,
            bias=weights["bias"] if op.affine else None,
            training=training,
            momentum=op.momentum,
            eps=op.eps,
        )

    def relu(self, op: Relu, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        return functional.relu(operands[0])

    def sigmoid(self, op: Sigmoid, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        y: Tensor = torch.special.expit(operands[0])
        return y

    def identity(
        self, op: Identity, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        return operands[0]

    def stop_gradient(
        self, op: StopGradient, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        return operands[0].detach()

    def max_pool(
        self, op: MaxPool, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        (x,) = operands
        axes = x.dim() - 2
        kernel = _numbers(op.kernel, axes)
        stride = kernel if op.stride is None else _numbers(op.stride, axes)
        padding = _numbers(op.padding, axes)
        pool = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}[axes]
        y: Tensor = pool(x, kernel, stride, padding, dilation=1, ceil_mode=False)
        return y

    def avg_pool(
        self, op: AvgPool, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        (x,) = operands
        axes = x.dim() - 2
        kernel = _numbers(op.kernel, axes)
        stride = kernel if op.stride is None else _numbers(op.stride, axes)
        padding = _numbers(op.padding, axes)
        pool = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}[axes]
        y: Tensor = pool(x, kernel, stride, padding, ceil_mode=False, count_include_pad=True)
        return y

    def global_avg_pool(
        self, op: GlobalAvgPool, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        (x,) = operands
        y = torch.mean(x, dim=list(range(2, x.dim())), keepdim=True)
        return y if op.keep else y.reshape(x.shape[:2])

    def concat(self, op: Concat, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        return torch.concatenate(list(operands), dim=1)

    def take(self, op: Take, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        return operands[0][:, op.start : op.start + op.count]

    def pad(self, op: Pad, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        (x,) = operands
        axes = [(op.before, op.channels)] + [(p, p) for p in _numbers(op.spatial, x.dim() - 2)]
        return functional.pad(x, [side for axis in reversed(axes) for side in axis])

    def flatten(self, op: Flatten, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        return torch.flatten(operands[0], 1)

    def upsample(
        self, op: Upsample, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        (x,) = operands
        axes = x.dim() - 2
        size = [n * f for n, f in zip(x.shape[2:], _numbers(op.scale, axes), strict=True)]
        if op.mode == "nearest":
            return functional.interpolate(x, size=size, mode="nearest")
        mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[axes]
        return functional.interpolate(x, size=size, mode=mode, align_corners=False)

    def add(self, op: Add, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        return torch.add(operands[0], operands[1])

    def mul(self, op: Mul, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        return torch.mul(operands[0], operands[1])

    def dropout(
        self, op: Dropout, operands: Sequence[Tensor], weights: Weights, training: bool
    ) -> Tensor:
        return torch.dropout(operands[0], op.rate, training)

    def drop_path(
        self, op: DropPath, operands: Sequence[Tensor], weights: Weights, training: bool
    ) -> Tensor:
        (x,) = operands
        if op.survival == 1:
            return x
        if not training:
            return x * op.survival
        survives = torch.rand([]).item() < op.survival
        return x * (1.0 if survives else 0.0)

    def param(self, op: Param, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        return weights[""]


def run_graph(
    graph: Graph, inputs: Sequence[Tensor], state: Mapping[str, Tensor], *, training: bool
) -> list[Tensor]:
    """All outputs of a net. `state` has its weights by state_dict key; layers with one path share
    them, and running statistics among them change in place, in training.

    Operators run in the order of node ids, which is the order of random draws.
    """
    values = {node.id: x for node, x in zip(graph.inputs(), inputs, strict=True)}
    oracle = Interpreter()
    for node in graph.nodes():
        if node.id not in values:
            operands = [values[operand] for operand in graph.operands(node.id)]
            weights = _weights_of(graph, node, state)
            values[node.id] = oracle.apply(node.op, operands, weights, training)
    return [values[output.node] for output in graph.outputs]


def _weights_of(graph: Graph, node: Node, state: Mapping[str, Tensor]) -> Weights:
    """The entries of a node's layer; a learned tensor is its layer's only entry, without a name."""
    path = node.layer.path or ()
    names = [weight.name for weight in node.op.weights(*graph.operand_types(node.id))]
    return {name: state[".".join((*path, name) if name else path)] for name in names}


def _numbers(value: int | tuple[int, ...], axes: int) -> list[int]:
    return [value] * axes if isinstance(value, int) else list(value)

"""The oracle of the tests: what each operator of the language means, one slow function each, and
the walk of a graph that applies them.

Written from the documentation of the language and of torch, never from an operator's torch text.
Where emitted code has to agree bit for bit it rests on the same documented primitives of torch.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from meanings import FORMULAS, Activations, Arithmetic, Noise, Rearrangements, Weights
from torch import Tensor
from torch.nn import functional

from archc.ir.branches import branch_of, drop_paths
from archc.ir.exits import computed
from archc.ir.graph import Graph, Node
from archc.ops.applied import ApplyConv, ApplyConvTranspose
from archc.ops.border import Crop, Pad
from archc.ops.convolution import Conv, ConvTranspose
from archc.ops.linear import Linear
from archc.ops.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from archc.ops.op import Op
from archc.ops.parameter import Param, Scale
from archc.ops.pooling import AdaptiveAvgPool, AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool
from archc.ops.rearrangement import ChannelShuffle, PixelShuffle, SpaceToDepth
from archc.ops.regularization import Dropout, DropPath, SpatialDropout
from archc.ops.resize import Upsample
from archc.ops.tensor import Concat, Flatten, Take

_CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_CONV_TRANSPOSE = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
_MAX_POOL = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_AVG_POOL = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
_GLOBAL_MAX_POOL = {
    1: functional.adaptive_max_pool1d,
    2: functional.adaptive_max_pool2d,
    3: functional.adaptive_max_pool3d,
}
_ADAPTIVE_AVG_POOL: dict[int, Callable[..., Tensor]] = {
    1: functional.adaptive_avg_pool1d,
    2: functional.adaptive_avg_pool2d,
    3: functional.adaptive_avg_pool3d,
}


class Interpreter(Activations, Arithmetic, Noise, Rearrangements):
    """Applies operators to tensors.

    `weights` are a layer's state_dict entries by their names below the layer; running statistics
    among them change in place, in training. Random operators draw from torch's global generator.
    """

    def apply(
        self,
        op: Op,
        operands: Sequence[Tensor],
        weights: Weights,
        training: bool,
        batched: bool = True,
    ) -> Tensor:
        """`batched` tells whether the result has a batch axis: no learned tensor has one."""
        self.batched = batched
        method: Callable[..., Tensor] = getattr(self, op.name)
        return method(op, operands, weights, training)

    def conv(self, op: Conv, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        (x,) = operands
        axes = x.dim() - 2
        kernel, dilation = _numbers(op.kernel, axes), _numbers(op.dilation, axes)
        groups = op.groups if op.group_size is None else x.shape[1] // op.group_size
        y: Tensor = _CONV[axes](
            x,
            weights["weight"],
            weights["bias"] if op.bias else None,
            stride=_numbers(op.stride, axes),
            padding=_padding(op.padding, kernel, dilation),
            dilation=dilation,
            groups=groups,
        )
        return y

    def conv_transpose(
        self, op: ConvTranspose, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        (x,) = operands
        axes = x.dim() - 2
        y: Tensor = _CONV_TRANSPOSE[axes](
            x,
            weights["weight"],
            weights["bias"] if op.bias else None,
            stride=_numbers(op.stride, axes),
            padding=_numbers(op.padding, axes),
            output_padding=_numbers(op.output_padding, axes),
            groups=op.groups,
            dilation=_numbers(op.dilation, axes),
        )
        return y

    def apply_conv(
        self, op: ApplyConv, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        x, weight = operands
        axes = x.dim() - 2
        dilation = _numbers(op.dilation, axes)
        y: Tensor = _CONV[axes](
            x,
            weight,
            None,
            stride=_numbers(op.stride, axes),
            padding=_padding(op.padding, list(weight.shape[2:]), dilation),
            dilation=dilation,
            groups=op.groups,
        )
        return y

    def apply_conv_transpose(
        self, op: ApplyConvTranspose, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        x, weight = operands
        axes = x.dim() - 2
        y: Tensor = _CONV_TRANSPOSE[axes](
            x,
            weight,
            None,
            stride=_numbers(op.stride, axes),
            padding=_numbers(op.padding, axes),
            output_padding=_numbers(op.output_padding, axes),
            groups=op.groups,
            dilation=_numbers(op.dilation, axes),
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

    def layer_norm(
        self, op: LayerNorm, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        (x,) = operands
        last = x.permute(0, *range(2, x.dim()), 1)
        weight, bias = _affine(op.affine, weights)
        y = functional.layer_norm(last, [x.shape[1]], weight, bias, op.eps)
        return y.permute(0, x.dim() - 1, *range(1, x.dim() - 1))

    def group_norm(
        self, op: GroupNorm, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        weight, bias = _affine(op.affine, weights)
        return functional.group_norm(operands[0], op.groups, weight, bias, op.eps)

    def instance_norm(
        self, op: InstanceNorm, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        weight, bias = _affine(op.affine, weights)
        return functional.instance_norm(operands[0], weight=weight, bias=bias, eps=op.eps)

    def max_pool(
        self, op: MaxPool, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        (x,) = operands
        axes = x.dim() - 2
        kernel = _numbers(op.kernel, axes)
        stride = kernel if op.stride is None else _numbers(op.stride, axes)
        padding = _numbers(op.padding, axes)
        y: Tensor = _MAX_POOL[axes](x, kernel, stride, padding, dilation=1, ceil_mode=op.ceil_mode)
        return y

    def avg_pool(
        self, op: AvgPool, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        (x,) = operands
        axes = x.dim() - 2
        kernel = _numbers(op.kernel, axes)
        stride = kernel if op.stride is None else _numbers(op.stride, axes)
        y: Tensor = _AVG_POOL[axes](
            x,
            kernel,
            stride,
            _numbers(op.padding, axes),
            ceil_mode=op.ceil_mode,
            count_include_pad=op.count_include_pad,
        )
        return y

    def global_max_pool(
        self, op: GlobalMaxPool, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        (x,) = operands
        axes = x.dim() - 2
        y: Tensor = _GLOBAL_MAX_POOL[axes](x, [1] * axes)
        return y if op.keep else y.reshape(x.shape[:2])

    def adaptive_avg_pool(
        self, op: AdaptiveAvgPool, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        (x,) = operands
        axes = x.dim() - 2
        y: Tensor = _ADAPTIVE_AVG_POOL[axes](x, _numbers(op.size, axes))
        return y

    def global_avg_pool(
        self, op: GlobalAvgPool, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        (x,) = operands
        first = 1 + self.batched
        y = torch.mean(x, dim=list(range(first, x.dim())), keepdim=True)
        return y if op.keep else y.reshape(x.shape[:first])

    def concat(self, op: Concat, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        return torch.concatenate(list(operands), dim=1)

    def take(self, op: Take, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        return operands[0].narrow(int(self.batched), op.start, op.count)

    def pad(self, op: Pad, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        """As `nn.ReflectionPad2d` and its like count: (left, right, top, bottom, front, back)."""
        (x,) = operands
        sides = _sides(op, x.dim() - 2)
        if op.mode != "zeros":
            return functional.pad(x, sides, mode=op.mode)
        return functional.pad(x, [*sides, op.before, op.channels])

    def crop(self, op: Crop, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        """What `narrow` leaves, axis by axis: from `before` on, all but `before + after`."""
        (x,) = operands
        sides = _sides(op, x.dim() - 2)
        for i, axis in enumerate(reversed(range(2, x.dim()))):
            before, after = sides[2 * i : 2 * i + 2]
            if before or after:
                x = x.narrow(axis, before, x.shape[axis] - before - after)
        return x

    def flatten(self, op: Flatten, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        return torch.flatten(operands[0], 1)

    def upsample(
        self, op: Upsample, operands: Sequence[Tensor], weights: Weights, _: bool
    ) -> Tensor:
        x = operands[0]
        axes = x.dim() - 2
        if op.like is not None:
            size = list(operands[1].shape[2:])
        elif op.size is not None:
            size = _numbers(op.size, axes)
        else:
            assert op.scale is not None
            size = [n * f for n, f in zip(x.shape[2:], _numbers(op.scale, axes), strict=True)]
        if op.mode == "nearest":
            return functional.interpolate(x, size=size, mode="nearest")
        linear = {1: "linear", 2: "bilinear", 3: "trilinear"}[axes]
        mode = linear if op.mode == "bilinear" else "bicubic"
        corners = op.align_corners
        return functional.interpolate(x, size=size, mode=mode, align_corners=corners)

    def dropout(
        self, op: Dropout, operands: Sequence[Tensor], weights: Weights, training: bool
    ) -> Tensor:
        return torch.dropout(operands[0], op.rate, training)

    def spatial_dropout(
        self, op: SpatialDropout, operands: Sequence[Tensor], weights: Weights, training: bool
    ) -> Tensor:
        return torch.feature_dropout(operands[0], op.rate, training)

    def drop_path(
        self, op: DropPath, operands: Sequence[Tensor], weights: Weights, training: bool
    ) -> Tensor:
        (x,) = operands
        p = _survival(op)
        if p == 1:
            return x
        if not training:
            return x * p if op.mode == "paper" else x
        gates = [x.shape[0]] + [1] * (x.dim() - 1) if op.mode == "sample" else []
        survives = torch.where(torch.rand(gates) < p, 1.0, 0.0).to(x.dtype)
        return x * (survives if op.mode == "paper" else survives / p)

    def skipped_path(
        self, op: DropPath, operands: Sequence[Tensor], weights: Weights, training: bool
    ) -> Tensor:
        """The end of a branch that is not skipped."""
        if not training:
            return self.drop_path(op, operands, weights, training)
        return operands[0] / _survival(op) if op.mode == "inverted" else operands[0]

    def param(self, op: Param, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        return weights[""]

    def scale(self, op: Scale, operands: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        return torch.mul(operands[0], weights[""])


class Primitives(Interpreter):
    """Torch's own functions, which the slow ones equal (see test_ops), so that nets are compared
    bit for bit. The strides of what is moved decide in which order what follows adds numbers.
    """

    def hard_swish(self, op: Op, xs: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        return functional.hardswish(xs[0])

    def pixel_shuffle(self, op: Op, xs: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        assert isinstance(op, PixelShuffle)
        return functional.pixel_shuffle(xs[0], op.factor)

    def space_to_depth(self, op: Op, xs: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        assert isinstance(op, SpaceToDepth)
        return functional.pixel_unshuffle(xs[0], op.factor)

    def channel_shuffle(self, op: Op, xs: Sequence[Tensor], weights: Weights, _: bool) -> Tensor:
        assert isinstance(op, ChannelShuffle)
        y: Tensor = torch.channel_shuffle(xs[0], op.groups)
        return y


def is_exact(graph: Graph) -> bool:
    """Whether `run_graph` gives what torch gives bit for bit.

    No operator is only a formula; and no sum is over an order of memory that is left open. A layer
    norm gives images in channels_last order, which torch tells by strides: those of axes of one
    element are not the same in `-x` and `-1 * x`, and it then stores a concatenation otherwise.
    """
    formulas = FORMULAS - vars(Primitives).keys()
    nodes = [*graph.nodes()]
    images = [node.type.shape for node in nodes if len(node.type.shape) > 1]
    ordered = any(node.op.name == "layer_norm" for node in nodes)
    told = not ordered or all(shape[0] != 1 and set(shape[1:]) != {1} for shape in images)
    return told and not any(node.op.name in formulas for node in nodes)


def run_graph(
    graph: Graph,
    inputs: Sequence[Tensor],
    state: Mapping[str, Tensor],
    *,
    training: bool,
    moved: Callable[[Tensor], Tensor] = lambda x: x,
) -> list[Tensor]:
    """All outputs of a net. `state` has its weights by state_dict key; layers with one path share
    them, and running statistics among them change in place, in training. Each result of an operator
    is `moved` before others read it.

    Operators run in the order of node ids, which is the order of random draws, with exits in the
    order in which these need them, and those that none needs do not run. The gates of
    branches that may be skipped are drawn first. What only a skipped branch needs does not run, and
    its weights have no influence: their gradients are zero.
    """
    values = {node.id: x for node, x in zip(graph.inputs(), inputs, strict=True)}
    oracle = Primitives()
    skipped = _skipped(graph) if training else set()
    for node in computed(graph):
        if node.id in skipped:
            trained = [w for w in _weights_of(graph, node, state).values() if w.requires_grad]
            before = [values[operand] for operand in graph.operands(node.id) if operand in skipped]
            values[node.id] = sum([*before, *(w[:0].sum() for w in trained)], torch.zeros([]))
        elif node.id not in values:
            operands = [values[operand] for operand in graph.operands(node.id)]
            weights = _weights_of(graph, node, state)
            batched = node.type.batched
            values[node.id] = moved(oracle.apply(node.op, operands, weights, training, batched))
    return [values[output.node] for output in graph.outputs]


def _skipped(graph: Graph) -> set[int]:
    """The nodes of branches that are skipped now; one number is drawn for each module that may skip
    one, in the order of their names."""
    ends: dict[str, list[Node]] = {}
    for end in drop_paths(graph):
        if end.layer.path is not None:
            ends.setdefault(".".join(end.layer.path), []).append(end)
    draws = zip(sorted(ends), torch.rand(len(ends)).tolist(), strict=True)
    closed = [end for name, n in draws for end in ends[name] if n >= _survival(end.op)]
    return {node for end in closed for node in (end.id, *branch_of(graph, end.id))}


def _survival(op: Op) -> float:
    """Branch l of L survives with 1 - l / L * (1 - survival)."""
    assert isinstance(op, DropPath)
    p = 1.0 if op.survival is None else op.survival
    return p if (op.branch, op.of) == (1, 1) else 1 - op.branch / op.of * (1 - p)


def _weights_of(graph: Graph, node: Node, state: Mapping[str, Tensor]) -> Weights:
    """The entries of a node's layer; a learned tensor is its layer's only entry, without a name."""
    path = node.layer.path or ()
    names = [weight.name for weight in node.op.weights(*graph.operand_types(node.id))]
    return {name: state[".".join((*path, name) if name else path)] for name in names}


def _sides(op: Pad | Crop, axes: int) -> list[int]:
    """Two numbers for each axis, the last axis first."""
    both = [n for n in reversed(_numbers(op.spatial, axes)) for _ in range(2)]
    single = [op.left, op.right, op.top, op.bottom, op.front, op.back][: 2 * axes]
    return [a + b for a, b in zip(both, single, strict=True)]


def _numbers(value: int | tuple[int, ...], axes: int) -> list[int]:
    return [value] * axes if isinstance(value, int) else list(value)


def _padding(
    padding: int | tuple[int, ...] | str, kernel: list[int], dilation: list[int]
) -> list[int]:
    if padding == "same":
        return [(k - 1) // 2 * d for k, d in zip(kernel, dilation, strict=True)]
    assert not isinstance(padding, str)
    return _numbers(padding, len(kernel))


def _affine(affine: bool, weights: Weights) -> tuple[Tensor | None, Tensor | None]:
    return (weights["weight"], weights["bias"]) if affine else (None, None)

"""A slimmed net beside the wide one with the scales and shifts of its channels at zero."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archc.channels.analysis import Channels, analyse, norms_of
from archc.channels.slices import weight_slices
from archc.compiler import Request, compile_spec
from archc.ir.dump import hyper_text
from archc.ir.graph import Graph, Path
from archc.ir.verify import verify
from archc.passes.simplify import Simplify
from archc.passes.slim import thin
from archc.slim.weights import masked, part_of, slimmed
from archc.testing.models import Outcome, inputs_of, model_of, run


def graph_of(name: str, **arguments: Any) -> Graph:
    """The graph of a shipped net, `SPEC NET`, as `slim` gets it."""
    spec, net = name.split()
    texts = {key: hyper_text(value) for key, value in arguments.items()}
    return compile_spec(Request(spec, net, texts, passes=(Simplify(),))).graph


def drawn(graph: Graph, ratio: float, seed: int = 0) -> dict[Path, int]:
    """Channels that go, at random; each norm keeps one."""
    numbers = random.Random(seed)
    found: dict[Path, int] = {}
    for node in norms_of(graph):
        assert node.layer.path is not None
        width = node.type.channels
        kept = numbers.randrange(width)
        gone = (c for c in range(width) if c != kept and numbers.random() < ratio)
        found[node.layer.path] = sum(1 << c for c in gone)
    return found


SIDES = {"densenet_cifar": 32, "densenet3d": 32, "msdnet": 224, "unet": 32, "resnet3d": 32}
"""Of the images on which shipped nets are tried; by default 64."""


def images_of(spec: str, graph: Graph) -> list[Tensor]:
    """Two small images for a shipped net; other sizes than the spec's where it takes them."""
    (image,) = graph.inputs()
    side = SIDES.get(spec, 64)
    sizes = [min(side, n) if isinstance(n, int) else side for n in image.type.spatial]
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, image.type.channels, *sizes, generator=generator)]


@dataclass(frozen=True)
class Pair:
    """The masked net, the slimmed one, and images."""

    channels: Channels
    wide: nn.Module
    narrow: nn.Module
    images: Sequence[Tensor]

    def run(self, *, training: bool) -> tuple[Outcome, Outcome]:
        return (
            run(self.wide, self.images, training=training),
            run(self.narrow, self.images, training=training),
        )


def pair_of(
    graph: Graph,
    dropped: Mapping[Path, int],
    *,
    shifted: bool = False,
    images: Sequence[Tensor] | None = None,
    dtype: torch.dtype = torch.float64,
    seed: int = 1,
) -> Pair:
    channels = analyse(graph, dropped, shifted=shifted)
    thinned = thin(channels)
    verify(thinned)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    wide, narrow = model_of(graph), model_of(thinned)
    _train(wide, generator)
    wide.to(dtype)
    wide.load_state_dict(masked(wide.state_dict(), channels))
    narrow.to(dtype).load_state_dict(slimmed(wide.state_dict(), channels, wide))
    inputs = inputs_of(graph, generator) if images is None else images
    return Pair(channels, wide, narrow, [x.to(dtype) for x in inputs])


def _train(net: nn.Module, generator: torch.Generator) -> None:
    """Scales, shifts and running statistics as if of training; other weights as they began."""
    with torch.no_grad():
        for key, value in net.state_dict().items():
            if value.dim() == 1:
                high = key.endswith(("weight", "var"))
                numbers = torch.rand if high else torch.randn
                value.copy_(numbers(value.shape, generator=generator) * (1 if high else 0.3))
                value.add_(0.2 if high else 0)


def differences(pair: Pair, close: float, *, gradients: bool = True) -> Iterator[str]:
    """How the two nets differ, in training and in evaluation: outputs, gradients of what is left,
    and running statistics; relative to the largest element, or to 1."""
    for training in (False, True):
        if training and any(node.op.random for node in pair.channels.graph.nodes()):
            return
        ours, theirs = pair.run(training=training)
        mode = "training" if training else "evaluation"
        for i, (a, b) in enumerate(zip(ours.outputs, theirs.outputs, strict=True)):
            yield from _difference(f"output {i} in {mode}", a, b, close)
        if gradients:
            wide = {**pair.wide.state_dict(), **ours.gradients}
            narrow = {**pair.narrow.state_dict(), **theirs.gradients}
            for key, a, b in _left(pair.channels, wide, narrow):
                if key in ours.gradients:
                    yield from _difference(f"the gradient of {key} in {mode}", a, b, 10 * close)
    if any(map(pair.channels.absorbed, pair.channels.graph.nodes())):
        return  # their running means have moved by the constants, ours have not
    states = pair.wide.state_dict(), pair.narrow.state_dict()
    for key, a, b in _left(pair.channels, *states):
        yield from _difference(key, a, b, close)


def _left(
    channels: Channels, wide: Mapping[str, Tensor], narrow: Mapping[str, Tensor]
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """What is left of values of the wide net, and those of the narrow one, by their keys; without
    those of dropped channels that stay, which slimming does not train."""
    for part in weight_slices(channels):
        a, b = part_of(wide[part.key], part), narrow[part.key]
        path = part.key.rpartition(".")[0]
        dropped = channels.dropped.get(tuple(path.split(".")), 0)
        if part.rows is not None and dropped:
            there = [i for i, row in enumerate(part.rows) if not dropped >> row & 1]
            a, b = a[there], b[there]
        yield part.key, a, b


def _difference(what: str, a: Tensor, b: Tensor, close: float) -> Iterator[str]:
    if a.shape != b.shape:
        yield f"{what} has the shape {list(b.shape)}, not {list(a.shape)}"
        return
    if not a.is_floating_point():
        if not torch.equal(a, b):
            yield f"{what} differs"
        return
    a, b = a.detach(), b.detach()
    known = a.isfinite()
    if not torch.equal(known, b.isfinite()):
        yield f"{what} is finite elsewhere"
    elif known.any():
        error = (a - b)[known].abs().max() / max(float(a[known].abs().max()), 1.0)
        if error > close:
            yield f"{what} differs by {float(error):.3g}"

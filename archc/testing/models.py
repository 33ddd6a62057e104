"""Graphs as running modules: emitted, imported, fed, and compared."""

import importlib.util
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from archc.codegen.emit import Header, emit
from archc.ir.graph import Graph
from archc.ops.size import Size

BATCH = 2
_SYMBOLS = range(4, 65)
_CLOSE = 1e-9
"""In double precision: what rounding may differ by, relatively or absolutely."""


def model_of(graph: Graph) -> nn.Module:
    """An instance of the module that a graph is emitted as. Raises ArchError."""
    text = emit(graph, (), Header("drawn.arch", "archc compile drawn.arch", (), "0"))
    with tempfile.TemporaryDirectory(prefix="archc-") as folder:
        path = Path(folder) / "model.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location("model", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    net: nn.Module = getattr(module, module.__all__[0])()
    return net


def inputs_of(graph: Graph, generator: torch.Generator) -> list[Tensor]:
    """Random inputs in double precision; all symbols stand for the least number that suits."""
    value = next((n for n in _SYMBOLS if _works(graph, n)), _SYMBOLS[-1])
    shapes = [_shape(node.type.shape, value) for node in graph.inputs()]
    return [torch.randn(BATCH, *s, generator=generator, dtype=torch.float64) for s in shapes]


def _works(graph: Graph, value: int) -> bool:
    return all(size >= 1 for node in graph.nodes() for size in _shape(node.type.shape, value))


def _shape(dims: Sequence[int | Size], value: int) -> list[int]:
    return [size.at(value) if isinstance(size, Size) else size for size in dims]


def randomise(net: nn.Module, generator: torch.Generator) -> None:
    """Weights and running statistics away from 0 and 1, so that none can be swapped unseen."""
    with torch.no_grad():
        for value in net.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) * 0.8 + 0.3)
                sign = torch.rand(value.shape, generator=generator) < 0.5
                if value.dim() > 1:
                    value[sign] *= -1


def backward(outputs: Sequence[Tensor]) -> None:
    """Gradients of a weighted sum of all outputs, of which no two elements weigh the same."""
    pairs = [
        (output, torch.linspace(-1, 1, output.numel(), dtype=output.dtype).reshape(output.shape))
        for output in outputs
        if output.requires_grad
    ]
    if pairs:
        torch.autograd.backward([output for output, _ in pairs], [slope for _, slope in pairs])


@dataclass(frozen=True)
class Outcome:
    """What a net gives for some inputs, and the gradients of its weights, by their keys, and of
    its inputs, by their positions."""

    outputs: list[Tensor]
    gradients: Mapping[str, Tensor]


def run(net: nn.Module, inputs: Sequence[Tensor], *, training: bool) -> Outcome:
    """Forward and backward, with random numbers that are the same for every net."""
    net.train(training)
    net.zero_grad()
    torch.manual_seed(2)
    leaves = [x.detach().requires_grad_() for x in inputs]
    result = net(*leaves)
    outputs = [result] if isinstance(result, Tensor) else list(result)
    backward(outputs)
    gradients = {key: weight.grad for key, weight in net.named_parameters()}
    gradients |= {f"input {i}": leaf.grad for i, leaf in enumerate(leaves)}
    return Outcome(outputs, {key: grad for key, grad in gradients.items() if grad is not None})


def compared(one: Outcome, other: Outcome, *, gradients: bool) -> Iterator[str]:
    """How the second outcome differs from the first, beyond rounding."""
    if len(one.outputs) != len(other.outputs):
        yield f"there are {len(other.outputs)} outputs, not {len(one.outputs)},"
        return
    for i, (a, b) in enumerate(zip(one.outputs, other.outputs, strict=True)):
        yield from _difference(f"output {i}", a, b)
    for key in sorted({*one.gradients, *other.gradients}) if gradients else ():
        found = [each.gradients[key] for each in (one, other) if key in each.gradients]
        a, b = found if len(found) == 2 else (found[0], torch.zeros_like(found[0]))
        yield from _difference(f"the gradient of `{key}`", a, b)


def _difference(what: str, a: Tensor, b: Tensor) -> Iterator[str]:
    if a.shape != b.shape:
        yield f"{what} has the shape {list(b.shape)}, not {list(a.shape)},"
    elif not torch.allclose(a, b, rtol=_CLOSE, atol=_CLOSE, equal_nan=True):
        yield f"{what} differs by {(a - b).abs().max().item():.3g}"

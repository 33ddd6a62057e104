"""Extern layers, tried before a training: archc knows them by their signatures only."""

from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from archc.diagnostics import ArchError, error, printable
from archc.ir.graph import Graph, Node, Path


def try_externs(graph: Graph, net: nn.Module, images: Tensor) -> None:
    """Run images through a net, and look at what its extern layers give, if it has any.

    Raises ArchError: one is no module, raises an exception, or gives another shape than its
    signature says.
    """
    nodes = [node for node in graph.nodes() if node.op.opaque]
    if not nodes:
        return
    running: list[Node] = []
    with ExitStack() as stack:
        for path, node in {node.layer.path: node for node in nodes}.items():
            layer = _layer(net, path or (), node)
            alike = [each for each in nodes if each.layer.path == path]
            enter, leave = partial(_enter, running, node), partial(_leave, running, alike)
            stack.callback(layer.register_forward_pre_hook(enter).remove)
            stack.callback(layer.register_forward_hook(leave).remove)
        stack.callback(net.train, net.training)
        try:
            with torch.no_grad():
                net.eval()(images)
        except ArchError:
            raise
        except Exception as problem:
            if not running:
                raise
            raise _failure(running[-1], f"fails: {type(problem).__name__}: {problem}") from problem


def _layer(net: nn.Module, path: Path, node: Node) -> nn.Module:
    found: object = net
    for name in path:
        found = getattr(found, name)
    if not isinstance(found, nn.Module):
        raise _failure(node, f"is of the class `{type(found).__name__}`, which is no nn.Module")
    return found


def _enter(running: list[Node], node: Node, *_: Any) -> None:
    running.append(node)


def _leave(running: list[Node], nodes: list[Node], _module: Any, _x: Any, y: Any) -> None:
    node = running.pop()
    count = len(node.type.parts)
    if count == 1 and not isinstance(y, Tensor):
        raise _failure(node, f"gives a `{type(y).__name__}`, not a tensor")
    given = (y,) if count == 1 else _several(node, count, y)
    shapes = [tensor.shape[1:] for tensor in given]
    if all(any(map(_differ, _shapes(each), shapes)) for each in nodes):
        words = ", ".join(f"[{', '.join(map(str, shape))}]" for shape in shapes)
        words = words if count == 1 else f"({words})"
        raise _failure(node, f"gives {words}, but by its signature it gives {node.type}")


def _several(node: Node, count: int, y: Any) -> tuple[Tensor, ...]:
    """Tensors in a tuple or list, as many as the signature says."""
    if isinstance(y, tuple | list) and len(y) == count and all(isinstance(t, Tensor) for t in y):
        return tuple(y)
    what = f"{len(y)} values" if isinstance(y, tuple | list) else f"a `{type(y).__name__}`"
    raise _failure(node, f"gives {what}, but by its signature {count} tensors: {node.type}")


def _shapes(node: Node) -> list[tuple[Any, ...]]:
    return [part.shape for part in node.type.parts]


def _differ(shape: tuple[Any, ...], given: torch.Size) -> bool:
    """Whether a shape is another one; a symbolic size may be any."""
    if len(shape) != len(given):
        return True
    return any(isinstance(a, int) and a != b for a, b in zip(shape, given, strict=True))


def _failure(node: Node, what: str) -> ArchError:
    first = printable(what.splitlines()[0])
    return error("E0508", f"the extern layer `{node.op.name}` {first}", node.layer.span)

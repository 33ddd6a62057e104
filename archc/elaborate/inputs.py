"""The tensors that a block is applied to, under the names of its inputs."""

from collections.abc import Sequence
from dataclasses import dataclass

from archc.diagnostics import Label, Span, error
from archc.elaborate.frame import Site
from archc.elaborate.graph_builder import GraphBuilder
from archc.elaborate.values import Datum, Tensor
from archc.ir.names import element_name
from archc.syntax import ast


@dataclass(frozen=True)
class Inputs:
    """`values` are the block's variables; `nodes` has one name for each tensor."""

    values: dict[str, Datum]
    nodes: tuple[tuple[str, int], ...]


def apart(builder: GraphBuilder, operands: Sequence[Tensor], site: Site) -> list[Tensor]:
    """The operands of a block; a tensor given twice, `(x, x) -> Block`, has a node for each."""
    found: list[Tensor] = []
    nodes: set[int] = set()
    for operand in operands:
        if operand.node not in nodes:
            nodes.add(operand.node)
            found.append(operand)
            continue
        named = site.frame.computing(builder.graph.node(operand.node).name)
        found.append(builder.operate("identity", (operand,), Site(named, site.span)))
    return found


def bind_inputs(block: ast.Block, operands: Sequence[Tensor], span: Span) -> Inputs:
    """One tensor for each input; what is left goes to `*xs`, as a list of one tensor or more."""
    several = bool(block.inputs) and block.inputs[-1].several
    count = len(block.inputs)
    if len(operands) < count or (len(operands) > count and not several):
        raise _wrong_count(block, len(operands), several, span)
    words = [item.name.name for item in block.inputs]
    values: dict[str, Datum] = dict(zip(words, operands, strict=False))
    names = words
    if several:
        last = words[-1]
        values[last] = list(operands[count - 1 :])
        names = words[:-1]
        names += [element_name(last, i) for i in range(len(operands) - count + 1)]
    nodes = zip(names, (operand.node for operand in operands), strict=True)
    return Inputs(values, tuple(nodes))


def _wrong_count(block: ast.Block, given: int, several: bool, span: Span) -> Exception:
    names = ", ".join(f"{'*' * item.several}{item.name.name}" for item in block.inputs)
    count = len(block.inputs)
    tensors = f"{'at least ' if several else ''}{count} tensor{'s' if count > 1 else ''}"
    return error(
        "E0201",
        f"`{block.name.name}` takes {tensors} ({names}), not {given}",
        Label(span),
        help="apply a block to several tensors as in `(a, b) -> Block(...)`" if count > 1 else None,
    )

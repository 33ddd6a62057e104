"""Sizes that are read inside of a call of torch's, as `x.shape[2]`, where axis 0 is the batch."""

from archc.diagnostics import Edit
from archc.elaborate.torch_arguments import UnsaidError
from archc.elaborate.walk import parts_of
from archc.syntax import ast
from archc.syntax.batched import is_learned
from archc.syntax.edits import replaced


def axis_edits(expr: ast.Expr) -> list[Edit]:
    """The axes of shapes in an expression, counted as here: without the batch.

    Raises:
        UnsaidError: a shape of which it is not known which axis is read, or that has no batch.
    """
    edits: list[Edit] = []
    moved: set[int] = set()
    for part in parts_of((expr,)):
        if isinstance(part, ast.Index) and _is_shape(part.value):
            moved.add(id(part.value))
            edits += _moved(part)
        elif _is_shape(part) and id(part) not in moved:
            raise UnsaidError(f"`{part.span.text}`: a shape has no batch axis here")
    return edits


def _is_shape(part: ast.Syntax) -> bool:
    return isinstance(part, ast.Attribute) and part.name == "shape"


def _moved(index: ast.Index) -> list[Edit]:
    """`x.shape[1]` is `x.channels`, and `x.shape[2]` is `x.shape[1]`. Raises UnsaidError."""
    match index.index, index.value:
        case ast.Unary(op="-", operand=ast.Number()), _:
            return []
        case ast.Number(value=int(axis)), ast.Attribute(value=ast.Name() as tensor) if axis > 0:
            if not is_learned(tensor.span.source, tensor.name):
                x = tensor.name
                ours = f"{x}.channels" if axis == 1 else f"{x}.shape[{axis - 1}]"
                return [*replaced(index.span, ours)]
    raise UnsaidError(f"`{index.span.text}`: a shape has no batch axis here")

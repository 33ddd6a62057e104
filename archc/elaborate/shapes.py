"""The declared shapes of a net's inputs; names that nothing binds are symbolic sizes."""

from collections.abc import Sequence

from archc.diagnostics import Span, error
from archc.elaborate.calls import Evaluator
from archc.elaborate.frame import Frame
from archc.elaborate.values import Value, describe
from archc.elaborate.walk import names_in
from archc.ops.op import TensorType
from archc.ops.size import LARGEST, Dim, Size, solve
from archc.syntax import ast
from archc.syntax.edits import without_arguments


def input_types(net: ast.Block, evaluator: Evaluator, frame: Frame) -> list[TensorType]:
    """The type of each input of a net."""
    return [_type(item, evaluator, frame) for item in net.inputs]


def _type(item: ast.Input, evaluator: Evaluator, frame: Frame) -> TensorType:
    assert item.shape is not None, "the parser refuses an input of a net without a shape"
    if not 1 <= len(item.shape.dims) <= 4:
        raise error("E0222", "a shape has channels and up to three spatial sizes", item.shape.span)
    dims = tuple(_dim(dim, evaluator, frame) for dim in item.shape.dims)
    if not isinstance(dims[0], int):
        first = item.shape.dims[0].span
        batch = len(dims) > 1 and isinstance(dims[1], int)
        raise error(
            "E0222",
            "the number of channels cannot be symbolic",
            first,
            help="leave the batch axis out: shapes are of one sample" if batch else None,
            fix=without_arguments(first) if batch else (),
        )
    return TensorType(dims)


def _dim(dim: ast.Expr | ast.Rest, evaluator: Evaluator, frame: Frame) -> Dim:
    if isinstance(dim, ast.Rest):
        raise error("E0222", "`*` is for extern layers; a net's input has all its sizes", dim.span)
    for name in names_in(dim):
        if name not in frame.names and name not in frame.file.names:
            frame.bind(name, Size(name))
    value: Value = evaluator.evaluate(dim, frame)
    if isinstance(value, Size):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise error("E0222", f"a size must be an int, not {describe(value)}", dim.span)
    if not 1 <= value <= LARGEST:
        raise error("E0222", f"a size lies between 1 and {LARGEST:,}, {value} does not", dim.span)
    return value


def fit_inputs(
    net: ast.Block,
    evaluator: Evaluator,
    frame: Frame,
    given: Sequence[TensorType],
    span: Span,
) -> dict[str, Dim]:
    """The symbolic sizes of an inner net, solved for the tensors that it is applied to."""
    sizes: dict[str, Dim] = {}
    declared = input_types(net, evaluator, frame)
    for item, type_, actual in zip(net.inputs, declared, given, strict=True):
        if not match_shape(type_.shape, actual.shape, sizes):
            raise error(
                "E0218",
                f"`{net.name.name}` takes `{item.name.name}` as {type_}, not {actual}",
                span,
            )
    return sizes


def match_shape(declared: tuple[Dim, ...], actual: tuple[Dim, ...], sizes: dict[str, Dim]) -> bool:
    """Whether a tensor fits the declared shape of an inner net; `sizes` gets its symbols."""
    if len(declared) != len(actual):
        return False
    return all(solve(one, two, sizes) for one, two in zip(declared, actual, strict=True))

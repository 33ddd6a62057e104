"""The declared shapes of a net's inputs; names that nothing binds are symbolic sizes."""

from collections.abc import Sequence

from archc.diagnostics import Diagnostic, Label, Span, error
from archc.elaborate.calls import Evaluator
from archc.elaborate.frame import Frame
from archc.elaborate.values import Datum, describe, is_int
from archc.elaborate.walk import used_names
from archc.ops.op import TensorType
from archc.ops.size import LARGEST, Dim, Size, solve
from archc.syntax import ast
from archc.syntax.edits import without_arguments


def input_types(net: ast.Block, evaluator: Evaluator, frame: Frame) -> list[TensorType]:
    """The type of each input of a net."""
    types = [_type(item, evaluator, frame) for item in net.inputs]
    for item, type_ in zip(net.inputs, types, strict=True):
        for found in (_as_batch(item, type_), _as_last(item, type_)):
            if found is not None:
                evaluator.builder.warnings.append(found)
    return types


_COLORS = (1, 3)


def _as_batch(item: ast.Input, type_: TensorType) -> Diagnostic | None:
    """`[1, 3, 32, 32]` is a volume of depth 3 here, and in PyTorch a batch of one image."""
    first, *rest = type_.shape
    if len(rest) != 3 or rest[0] not in _COLORS or not all(map(_is_large, rest[1:])):
        return None
    what = f"a volume of {first} channel{'' if first == 1 else 's'} and depth {rest[0]}"
    return _noted(item, type_, what, f"if `{first}` is the batch", [1, 2, 3])


def _as_last(item: ast.Input, type_: TensorType) -> Diagnostic | None:
    """`[32, 32, 3]` has 32 channels here, and 3 in Keras. (A width of 1 may be a series'.)"""
    first, *rest = type_.shape
    if len(rest) != 2 or rest[1] not in _COLORS or not (_is_large(first) and _is_large(rest[0])):
        return None
    if rest[1] == 1 and first != rest[0]:
        return None
    what = f"an image of {first} channels, {rest[0]} high and {rest[1]} wide"
    return _noted(item, type_, what, f"if `{rest[1]}` are the channels", [2, 0, 1])


def _noted(
    item: ast.Input, type_: TensorType, what: str, doubt: str, order: Sequence[int]
) -> Diagnostic:
    """A note of what a shape means here; `order` are its places as they may have been meant."""
    assert item.shape is not None
    meant = ", ".join(item.shape.dims[place].span.text for place in order)
    rule = "one sample" if len(order) < len(type_.shape) else "one sample, channels first"
    return Diagnostic(
        "",
        f"{type_} is {what}",
        (Label(item.shape.span),),
        help=f"shapes are of {rule}: {doubt}, write `[{meant}]`",
        severity="note",
    )


def _is_large(size: Dim) -> bool:
    return not isinstance(size, int) or size >= _IMAGE


_IMAGE = 8
"""The least height and width of what looks like an image."""


def _type(item: ast.Input, evaluator: Evaluator, frame: Frame) -> TensorType:
    assert item.shape is not None, "the parser refuses an input of a net without a shape"
    _refuse_batch(item.shape, frame)
    if not 1 <= len(item.shape.dims) <= 4:
        raise error("E0222", "a shape has channels and up to three spatial sizes", item.shape.span)
    dims = tuple(_dim(dim, evaluator, frame) for dim in item.shape.dims)
    if not isinstance(dims[0], int):
        first = item.shape.dims[0].span
        several = len(dims) > 2 and isinstance(dims[1], int)
        raise error(
            "E0222",
            "the number of channels cannot be symbolic",
            first,
            help=f"if `{first.text}` is the batch, leave it out: shapes are of one sample"
            if several
            else None,
        )
    return TensorType(dims)


def _refuse_batch(shape: ast.Shape, frame: Frame) -> None:
    """`[N, 3, 32, 32]`, whatever else is called N: channels have a number, which follows."""
    first, *rest = shape.dims
    if len(rest) > 1 and isinstance(rest[0], ast.Number) and _is_batch(first, frame):
        raise error(
            "E0222",
            f"`{first.span.text}` stands for the batch, which shapes leave out",
            first.span,
            help="leave the batch axis out: shapes are of one sample",
            fix=without_arguments(first.span),
            certain=True,
        )


_BATCH = {"n", "b", "bs", "batch", "batch_size", "batchsize", "num"}


def _is_batch(first: ast.Expr | ast.Rest, frame: Frame) -> bool:
    """Whether a first size is a batch's: `N`, unless it has a value, or `-1`."""
    if isinstance(first, ast.Unary):
        return first.span.text.replace(" ", "") == "-1"
    if not isinstance(first, ast.Name) or first.name.lower() not in _BATCH:
        return False
    declared = frame.file.names.get(first.name)
    has_value = declared is not None and isinstance(declared[0], ast.Const)
    return first.name not in frame.names and not has_value


def _dim(dim: ast.Expr | ast.Rest, evaluator: Evaluator, frame: Frame) -> Dim:
    if isinstance(dim, ast.Rest):
        raise error("E0222", "`*` is for extern layers; a net's input has all its sizes", dim.span)
    for name in used_names(dim):
        if name.name not in frame.own:
            frame.bind(name.name, Size(name.name))
    value: Datum = evaluator.evaluate(dim, frame)
    if isinstance(value, Size):
        return value
    if not is_int(value):
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

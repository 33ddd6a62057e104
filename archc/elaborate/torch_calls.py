"""A call of torch's, as in `nn.Conv2d(64, 96, 5, 1, 2)` -> the call of archc's operator."""

from collections.abc import Mapping, Sequence

from archc.elaborate.torch_arguments import Ours, UnsaidError, Written, ours, padded
from archc.elaborate.torch_table import INFERRED, Signature
from archc.ops.op import word
from archc.syntax import ast

_WORDS: Mapping[str, object] = {"True": True, "False": False, "None": None}


def written(expr: ast.Expr) -> Written:
    """An argument's expression as the language writes it, with its value if it is a literal.

    Raises:
        UnsaidError: `None` is part of the expression.
    """
    match expr:
        case ast.Name(name=name) if name in _WORDS:
            value = _WORDS[name]
            return Written("None" if value is None else word(value), value)
        case ast.Number(value=number):
            return Written(expr.span.text, number)
        case ast.Bool(value=truth):
            return Written(word(truth), truth)
        case ast.String(parts=parts) if all(isinstance(part, str) for part in parts):
            text = "".join(part for part in parts if isinstance(part, str))
            return Written(word(text), text)
        case ast.Paren(value=inner):
            found = written(inner)
            return Written(f"({found.text})", found.value)
        case ast.Unary(op="-", operand=ast.Number(value=number)):
            return Written(expr.span.text, -number)
        case ast.Tuple(items=items) | ast.List(items=items):
            known = [written(item) for item in items]
            text = f"[{', '.join(item.text for item in known)}]"
            return Written(text, tuple(item.value for item in known))
    return Written(expr.span.text)


def module_call(
    signature: Signature, arguments: Sequence[ast.Argument], *, complete: bool = True
) -> str:
    """The call of an operator that makes what a module's class makes of these arguments.

    A class that is not called is not `complete`: the channels of the input may be missing.

    Raises:
        UnsaidError: archc cannot express an argument; the text names it and says why.
    """
    bound = _bound(signature, arguments)
    texts: list[str] = []
    in_place = True
    for said in _said(signature, bound, complete):
        if said.needless:
            in_place = False
            continue
        in_place = in_place and not said.parameter.keyword
        texts.append(said.text if in_place else f"{said.parameter.name}={said.text}")
    texts += signature.always
    return f"{signature.operator}({', '.join(texts)})"


def _bound(signature: Signature, arguments: Sequence[ast.Argument]) -> Mapping[str, ast.Argument]:
    """The arguments by the names of torch's parameters. Raises UnsaidError."""
    names = [item.name for item in signature.parameters if not item.named]
    known = {item.name for item in signature.parameters}
    positional = [argument for argument in arguments if argument.name is None]
    if len(positional) > len(names):
        raise UnsaidError(f"PyTorch takes no `{positional[len(names)].span.text}` there")
    bound = dict(zip(names, positional, strict=False))
    for argument in arguments:
        if argument.name is None:
            continue
        if argument.name not in known or argument.name in bound:
            raise UnsaidError(f"PyTorch takes no `{argument.span.text}` there")
        bound[argument.name] = argument
    return bound


def _said(signature: Signature, bound: Mapping[str, ast.Argument], complete: bool) -> list[Ours]:
    """The operator's arguments, in its own order."""
    found = []
    for theirs in signature.parameters:
        argument = bound.get(theirs.name)
        if argument is None and theirs.name in INFERRED and complete:
            raise UnsaidError(f"`{theirs.name}`: it is missing")
        try:
            value = None if argument is None else written(argument.value)
            if signature.operator == "pad" and value is not None:
                found += padded(value, signature.rank)
                continue
            said = ours(signature.operator, theirs, value)
        except UnsaidError as reason:
            shown = theirs.name if argument is None else argument.span.text
            raise UnsaidError(f"`{shown}`: {reason}") from None
        if said is not None:
            found.append(said)
    _require_odd(signature.operator, found)
    return sorted(found, key=lambda said: said.parameter.keyword)


def _require_odd(operator: str, found: Sequence[Ours]) -> None:
    """Torch pads an even kernel more on one side than on the other to keep the size."""
    texts = {said.parameter.name: said for said in found}
    if operator != "conv" or texts["padding"].text != '"same"':
        return
    kernel = texts["kernel"].value
    sizes = kernel if isinstance(kernel, tuple) else (kernel,)
    if any(isinstance(size, int) and size % 2 == 0 for size in sizes):
        raise UnsaidError('`padding="same"`: an even kernel is padded unevenly in PyTorch')

"""What the grammar takes and the language does not, so that the refusal can say what to write."""

import re

from archc.diagnostics import Diagnostic, Fix, Label, Span
from archc.syntax import ast
from archc.syntax.edits import inserted, replaced, without_line
from archc.syntax.in_place import changed_in_place

_OPERATOR = (ast.Unary, ast.Arithmetic, ast.Compare, ast.Logical)
_MAX_HELP = 100

# ------------------------------------------------------------------- pipes


def mixed_pipe(pipe: ast.Pipe) -> Diagnostic | None:
    """`x + y -> relu`: the reader cannot know what goes into the layer."""
    if isinstance(pipe.head, _OPERATOR):
        return _mixed(pipe.head, _head_readings(pipe, pipe.head))
    for stage in pipe.stages:
        if isinstance(stage.layer, _OPERATOR):
            return _mixed(stage.layer, _stage_readings(pipe, stage))
    return None


def _mixed(operator: ast.Expr, readings: list[str]) -> Diagnostic:
    shown = [" ".join(reading.split()) for reading in readings]
    if any(len(reading) > _MAX_HELP for reading in shown):
        help = "put parentheses around the operator or around the pipe"
    else:
        help = "write " + " or ".join(f"`{reading}`" for reading in shown)
    if re.search(r"[ \t]//[ \t]*[A-Za-z]\w*$", operator.span.text):
        help += "; a comment begins with `#`"
    message = "an operator beside `->` needs parentheses"
    return Diagnostic("E0140", message, (Label(operator.span),), help=help)


def _head_readings(pipe: ast.Pipe, head: ast.Expr) -> list[str]:
    text = pipe.span.source.text
    last = _last(head).span.start
    rest = text[head.span.end : pipe.span.end]
    return [
        f"({head.span.text}){rest}",
        f"{text[head.span.start : last]}({text[last : head.span.end]}{rest})",
    ]


def _stage_readings(pipe: ast.Pipe, stage: ast.Stage) -> list[str]:
    text, layer, whole = pipe.span.source.text, stage.layer, pipe.span
    before, after = text[whole.start : layer.span.start], text[layer.span.end : whole.end]
    around = f"{before}({layer.span.text}){after}"
    if isinstance(layer, ast.Unary):
        return [around]
    first, last = _first(layer).span.end, _last(layer).span.start
    tail = text[last : whole.end]
    tail = f"({tail})" if stage is not pipe.stages[-1] else tail
    return [f"({text[whole.start : first]}){text[first:last]}{tail}", around]


def _first(operator: ast.Expr) -> ast.Expr:
    if isinstance(operator, ast.Arithmetic | ast.Compare):
        return operator.first
    return operator.operands[0] if isinstance(operator, ast.Logical) else operator


def _last(operator: ast.Expr) -> ast.Expr:
    """The operand that a following `->` would take if it bound more tightly."""
    if isinstance(operator, ast.Unary):
        return operator.operand
    if isinstance(operator, ast.Arithmetic | ast.Compare):
        return operator.rest[-1][1]
    return operator.operands[-1] if isinstance(operator, ast.Logical) else operator


# ------------------------------------------------- statements of no effect


def lost_result(value: ast.Expr) -> Diagnostic:
    """An expression alone: what it computes is lost, so something else was meant."""
    help, fix = _use_of(value)
    # another name of a tensor that is changed in place would be changed, too
    in_place = isinstance(value, ast.Call) and changed_in_place(value) is not None
    certain = isinstance(value, ast.Call) and bool(fix) and not in_place
    message = "the result is not used"
    return Diagnostic("E0141", message, (Label(value.span),), help=help, fix=fix, certain=certain)


def _use_of(value: ast.Expr) -> tuple[str, Fix]:
    if isinstance(value, ast.Compare) and value.rest[0][0] == "==":
        help = "`==` compares; to bind a name write `=`"
        between = Span(value.span.source, value.first.span.end, value.rest[0][1].span.start)
        return help, replaced(between, " = ") if len(value.rest) == 1 else ()
    if isinstance(value, ast.Pipe) and isinstance(value.head, ast.Name):
        name = value.head.name
        help = f"bind it: `{name} = {name} -> ...`"
        if _LAST.match(value.span.source.text, value.span.end):
            return f"{help}; or return it: `return {name} -> ...`", ()
        return help, inserted(value.span, f"{name} = ")
    if isinstance(value, ast.Call):
        return _use_of_call(value)
    return _LOST, ()


_LAST = re.compile(r"\s*(?:#[^\n]*\s*)*\}")
"""What stands behind the last statement of a body, which may have been meant as its result."""
_LOST = "bind it to a name, return it, or remove it"


def _use_of_call(call: ast.Call) -> tuple[str, Fix]:
    """`xs.append(x)`, which changes a list in Python, and `print(x)`."""
    callee = call.callee
    if isinstance(callee, ast.Name) and callee.name == "print":
        return "remove it: `archc summary` prints shapes", without_line(call.span)
    if isinstance(callee, ast.Attribute) and callee.name == "append" and len(call.arguments) == 1:
        ours = f"{callee.value.span.text} += [{call.arguments[0].span.text}]"
        return f"write `{ours}`", replaced(call.span, ours)
    return changed_in_place(call) or (_LOST, ())


# ----------------------------------------------------------------- targets


def assignment(
    span: Span, target: ast.Expr, value: ast.Expr
) -> ast.Assign | ast.AssignItem | Diagnostic:
    """`target = value`, if the target is a name, several names, or an element of a name."""
    if isinstance(target, ast.Name):
        return ast.Assign(span, (target,), value, ())
    if isinstance(target, ast.Tuple):
        return _unpacking(span, target, value)
    if not isinstance(target, ast.Index):
        return _no_target(target)
    if isinstance(target.value, ast.Name):
        return ast.AssignItem(span, target.value, target.index, value)
    if isinstance(target.value, ast.Index):
        return _nested_element(target, target.value)
    return _no_target(target)


def _unpacking(span: Span, target: ast.Tuple, value: ast.Expr) -> ast.Assign | Diagnostic:
    names = tuple(item for item in target.items if isinstance(item, ast.Name))
    if len(names) == len(target.items):
        return ast.Assign(span, names, value, ())
    wrong = next(item for item in target.items if not isinstance(item, ast.Name))
    return Diagnostic(
        "E0142",
        "several values are bound to names only",
        (Label(wrong.span),),
        help="bind them to names, then assign from these",
    )


def _nested_element(target: ast.Index, outer: ast.Index) -> Diagnostic:
    row, element = outer.span.text, target.span.text
    return Diagnostic(
        "E0143",
        "an element of an element cannot be assigned",
        (Label(target.span),),
        help=f"change the inner list, then put it back: `row = {row}`,\n"
        f"`row{element[len(row) :]} = ...`, `{row} = row`",
    )


def _no_target(target: ast.Expr) -> Diagnostic:
    help = "assign to a name, to several names, or to an element of a list: `xs[i] = v`"
    fix: Fix = ()
    if isinstance(target, ast.Attribute):
        help = "values are immutable; bind a name"
        if target.value.span.text == "self":
            help = f"there is no `self`: bind `{target.name}`"
            fix = replaced(target.span, target.name)
    if isinstance(target, ast.Slice):
        help = "assign element by element, or join the parts: `xs[:i] + ys + xs[j:]`"
    if isinstance(target, ast.Compare):
        help = "`==` compares; `=` binds"
    message, certain = f"{_kind(target)} is not something to assign to", bool(fix)
    return Diagnostic("E0142", message, (Label(target.span),), help=help, fix=fix, certain=certain)


def _kind(expr: ast.Expr) -> str:
    name = type(expr).__name__.lower()
    words = {"pipe": "a pipe", "call": "a call", "slice": "a slice", "attribute": "an attribute"}
    literals = {"number": "a number", "bool": "a bool", "string": "a string", "list": "a list"}
    return (words | literals).get(name, "this expression")


def update(span: Span, target: ast.Expr, value: ast.Expr) -> ast.Update | Diagnostic:
    """`target += value`, if the target is a name."""
    if isinstance(target, ast.Name):
        return ast.Update(span, target, value)
    help = "bind a name first"
    fix: Fix = ()
    if isinstance(target, ast.Index):
        text = target.span.text
        help = f"write `{text} = {text} + ...`"
        operator = Span(span.source, target.span.end, value.span.start)
        fix = replaced(operator, f" = {text} + ")
    message, certain = "`+=` updates names only", bool(fix)
    return Diagnostic("E0144", message, (Label(target.span),), help=help, fix=fix, certain=certain)


def positional_after_named(arguments: tuple[ast.Argument, ...]) -> Diagnostic | None:
    """`f(width=3, x)`: which parameter `x` is for cannot be seen."""
    named = None
    for argument in arguments:
        if argument.name is not None:
            named = argument
        elif named is not None:
            labels = (Label(argument.span), Label(named.span, "named"))
            return Diagnostic("E0147", "a positional argument follows a named one", labels)
    return None

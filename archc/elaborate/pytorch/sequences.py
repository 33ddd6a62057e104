"""`nn.Sequential` and `nn.ModuleList`: pipes, scopes and lists of layers."""

import re

from archc.diagnostics import Fix
from archc.elaborate.pytorch.translated_arguments import UnsaidError
from archc.elaborate.pytorch.translated_calls import Render
from archc.syntax import ast
from archc.syntax.edits import is_labelled, is_stage, replaced

_LONGEST = 90
"""Characters of a pipe that a help writes out."""
_PIPE = "x -> conv(64, 3) -> bn -> relu"
_SCOPE = 'scope {0} {{ x = x -> "0": conv(64, 3) -> "1": bn -> "2": relu }}'
_NAMED = re.compile(r"(?:(\w+)\s*=|->\s*(\w+)\s*:)\s*$")


def sequence(call: ast.Call, render: Render) -> tuple[str, Fix]:
    """`nn.Sequential(...)`: a pipe where it is a stage; where it has a name, a scope, whose labels
    give the keys that PyTorch has."""
    layers = _rendered(call, render)
    if layers and is_stage(call.span) and not is_labelled(call.span):
        return "layers are applied in turn by `->`", replaced(call.span, " -> ".join(layers))
    name = _name(call)
    pipe = f"x -> {' -> '.join(layers)}" if layers else ""
    pipe = pipe if 0 < len(pipe) <= _LONGEST else _PIPE
    if name is None:
        return f"a pipe applies layers in turn: `{pipe}`", ()
    labelled = (f'"{i}": {layer}' for i, layer in enumerate(layers))
    scope = f"scope {name} {{ x = x -> {' -> '.join(labelled)} }}"
    scope = scope if layers and len(scope) <= _LONGEST else _SCOPE.format(name)
    help = (
        f"write a pipe where `{name}` is applied: `{pipe}`, or with PyTorch's keys `{scope}`; what "
        "is applied more than once is a list of layers"
    )
    return help, ()


def _rendered(call: ast.Call, render: Render) -> list[str]:
    """The layers of a call; none where one has no mend."""
    if any(argument.name is not None for argument in call.arguments):
        return []
    try:
        return [render(argument.value) for argument in call.arguments]
    except UnsaidError:
        return []


def _name(call: ast.Call) -> str | None:
    """What a call is bound to, or its label."""
    text, start = call.span.source.text, call.span.start
    found = _NAMED.search(text[text.rfind("\n", 0, start) + 1 : start])
    return found and (found[1] or found[2]) if not _is_applied(call) else None


def _is_applied(call: ast.Call) -> bool:
    """`nn.Sequential(...)(x)`."""
    return call.span.source.text[call.span.end : call.span.end + 1] == "("


def list_of_layers(call: ast.Call, render: Render) -> tuple[str, Fix]:
    """`nn.ModuleList([...])`, and without an argument."""
    help = "a list of layers is one: `layers = [conv(64, 3), bn()]`"
    values = [argument.value for argument in call.arguments]
    if not values:
        return help, replaced(call.span, "[]")
    if len(values) > 1 or not isinstance(values[0], ast.List | ast.Comprehension):
        return help, ()
    try:
        return help, replaced(call.span, render(values[0]))
    except UnsaidError:
        return help, ()

"""Statements that change a tensor or a module in PyTorch, `x.add_(y)`: what to write instead.

Taken out, as what has no effect here, they would leave another net than was meant.
"""

import re

from archc.diagnostics import Fix
from archc.syntax import ast
from archc.syntax.edits import inserted, replaced

_NOTHING_CHANGES = "no tensor is changed in place"
_ANEW = "binds the name to another one, and other names of it keep the old one"
_SIGNS = {"add_": "+", "sub_": "-", "mul_": "*", "div_": "/"}
_LAYERS = {"relu_", "sigmoid_", "tanh_", "abs_"}
_IN_PLACE = re.compile(r"\binplace\s*=\s*(?i:true)\b")

_MODULES = {
    "register_buffer": "there are no buffers: a number stands where it is used, `param` makes what "
    "is learned, and other tensors are for a class of Python's, with `extern layer`",
    "register_parameter": "`param` makes what is learned: `scale = param([8, 1, 1])`",
    "requires_grad_": "`stop_gradient(x)` lets no gradient through; which weights are trained is "
    "for what trains the net",
    "train": "operators know it: `dropout` drops in training only",
    "eval": "operators know it: `dropout` drops in training only",
}
_MODULES["add_module"] = "a label names a layer: `x = x -> conv1: conv(64, 3)`"
_BEGINS = (
    "how weights begin is said before the net, as in `@init(\"he_normal\")`, and of a learned "
    "tensor where it is made: `param([8, 1, 1], \"ones\")`"
)  # fmt: skip


def changed_in_place(call: ast.Call) -> tuple[str, Fix] | None:
    """For a call that stands alone; None if it changes nothing in PyTorch either."""
    callee = call.callee
    text = callee.span.text
    word = callee.name if isinstance(callee, ast.Attribute) else text
    if re.search(r"\binit\.\w+_$", text):
        return _BEGINS, ()
    if isinstance(callee, ast.Attribute) and word in _MODULES:
        return _MODULES[word], ()
    changed = _changed(call, word)
    if changed is None:
        return None
    x, ours = changed
    help = f"{_NOTHING_CHANGES}: `{x} = {ours}` {_ANEW}"
    fix = replaced(call.span, f"{x} = {ours}")
    return help, fix if ours != call.span.text else inserted(call.span, f"{x} = ")


def _changed(call: ast.Call, word: str) -> tuple[str, str] | None:
    """The variable whose tensor is changed, and what it is to be bound to."""
    callee, arguments = call.callee, call.arguments
    names = (each.value for each in arguments[:1] if each.name in (None, "input"))
    first = next((each.name for each in names if isinstance(each, ast.Name)), None)
    if first is not None and _IN_PLACE.search(call.span.text):
        plain = f"{word}_" in _LAYERS and len(arguments) == _WITH_IN_PLACE
        return first, f"{first} -> {word}" if plain else call.span.text
    if not word.endswith("_") or word.startswith("_") or not isinstance(callee, ast.Attribute):
        return None
    receiver = callee.value
    if receiver.span.text in _PREFIXES:
        if first is None:
            return None
        plain = word in _LAYERS and len(arguments) == 1
        return first, f"{first} -> {word[:-1]}" if plain else call.span.text
    if not isinstance(receiver, ast.Name):
        return None
    x, values = receiver.name, [each.value for each in arguments if each.name is None]
    if word in _SIGNS and len(values) == len(arguments) == 1:
        return x, f"{x} {_SIGNS[word]} {_operand(values[0])}"
    if word in _LAYERS and not arguments:
        return x, f"{x} -> {word[:-1]}"
    return x, call.span.text


_WITH_IN_PLACE = 2
"""Arguments of `F.relu(x, inplace=True)`."""

_PREFIXES = {"torch", "F", "functional", "nn.functional", "torch.nn.functional"}


def _operand(value: ast.Expr) -> str:
    atom = isinstance(value, ast.Name | ast.Number | ast.Call | ast.Attribute | ast.Paren)
    return value.span.text if atom else f"({value.span.text})"

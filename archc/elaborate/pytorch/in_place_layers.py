"""Calls of PyTorch's with `inplace=True`, which change the tensor that they are applied to.

Without it the same is computed where that tensor is not used any more: where it is computed on the
spot, or where its name is bound anew and no other name has it.
"""

import re
from collections.abc import Mapping

from archc.diagnostics import Span
from archc.elaborate.pytorch.signatures import OPERANDS
from archc.syntax import ast
from archc.syntax.edits import is_rebound, is_stage

_FALSE = {"False", "false", "0"}
_NAME_BEFORE = re.compile(
    r"(?:(?<![=!<>])=|^|[({\[,]|\breturn\b|\bexit\b)\s*(\w+)\s*->\s*(?:(?:\w+|\"[^\"\n]*\")\s*:\s*)?\Z",
    re.MULTILINE,
)
_APPLIED = re.compile(r"\(\s*(\w+)\s*\)")


def changes_what_stays(call: ast.Call, given: Mapping[str, ast.Argument]) -> bool:
    """Whether a call with these arguments may change a tensor that is used later."""
    if "inplace" not in given or given["inplace"].value.span.text in _FALSE:
        return False
    operands = [given[name].value for name in given if name in OPERANDS]
    if operands:
        return isinstance(operands[0], ast.Name) and _stays(operands[0].name, call.span)
    text, span = call.span.source.text, call.span
    if is_stage(span):
        named = _NAME_BEFORE.search(text[: span.start])
        before = Span(span.source, named.start(1), span.end) if named else span
        return named is not None and _stays(named[1], before)
    applied = _APPLIED.match(text, span.end)
    return applied is None or _stays(applied[1], span)


def _stays(name: str, span: Span) -> bool:
    """Whether a name, or another one, has its tensor after what a span begins."""
    other = re.search(rf"\w\s*=\s*{name}[ \t]*(?:#|$)", span.source.text, re.MULTILINE)
    return other is not None or not is_rebound(name, span) or _is_given(name, span)


def _is_given(name: str, span: Span) -> bool:
    """Whether a block has got the tensor of a name, which what applies the block may use later."""
    before = span.source.text[: span.start]
    heads = [*_HEAD.finditer(before)]
    if not heads or heads[-1][1] != "block":
        return False
    body = before[before.find("{", heads[-1].end()) :]
    bound = re.findall(rf"\b{name}\b[\w\s,]*=(?!=)", body)
    bound_here = body.rstrip().endswith("=")
    return len(bound) <= bound_here


_HEAD = re.compile(r"^(net|block)\b", re.MULTILINE)

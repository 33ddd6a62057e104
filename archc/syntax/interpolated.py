"""Texts put together as in Python, `"c" + str(i)`, `"c%d" % i`, `"c{}".format(i)`, as strings here.

These are expressions of Python as well, so its own parser takes them apart.
"""

import ast as python
import re
from collections.abc import Iterator, Mapping

MAX_LENGTH = 500

_QUOTED = re.compile(r"""(["'])([^"\\\n]*)\1""")
_PERCENT = re.compile(r"%[dis%]")
_FIELD = re.compile(r"\{\{|\}\}|\{(\w*)(?:!s)?(?::d?)?\}")


class _OtherwiseError(Exception):
    """It has no equal here: a width, a precision, a quote in a hole."""


def interpolated(text: str) -> str | None:
    """The string with holes that a text of Python stands for; None if it is none, or unknown."""
    if len(text) > MAX_LENGTH:
        return None
    try:
        tree = python.parse(text.strip(), mode="eval").body
        if not _is_text(tree):
            return None
        return f'"{"".join(_Parts(text.strip()).of(tree))}"'
    except (_OtherwiseError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_text(node: python.expr) -> bool:
    match node:
        case python.Constant():
            return isinstance(node.value, str)
        case python.Call(func=python.Name(id="str" | "repr")):
            return True
        case python.Call(func=python.Attribute(attr="format")):
            return True
        case python.BinOp(op=python.Add()):
            return _is_text(node.left) or _is_text(node.right)
        case python.BinOp(op=python.Mod()):
            return _is_text(node.left)
    return False


class _Parts:
    """The parts of one text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def of(self, node: python.expr) -> Iterator[str]:
        """What a node adds to the string."""
        match node:
            case python.Constant() if isinstance(node.value, str):
                yield self._literal(node)
            case python.Call(func=python.Name(id="str"), args=[value], keywords=[]):
                yield self._hole(value)
            case python.Call(
                func=python.Attribute(attr="format", value=python.Constant() as whole)
            ):
                yield from self._fields(self._literal(whole), node)
            case python.BinOp(op=python.Add()) if _is_text(node):
                yield from self.of(node.left)
                yield from self.of(node.right)
            case python.BinOp(op=python.Mod(), left=python.Constant() as whole):
                right = node.right
                values = right.elts if isinstance(right, python.Tuple) else [right]
                yield from self._percents(self._literal(whole), values)
            case _ if not _is_text(node):
                yield self._hole(node)
            case _:
                raise _OtherwiseError

    def _literal(self, node: python.Constant) -> str:
        """The text between the quotes, as it is written."""
        quoted = _QUOTED.fullmatch(self._segment(node))
        if quoted is None:
            raise _OtherwiseError
        return quoted[2]

    def _hole(self, node: python.expr) -> str:
        text = self._segment(node)
        if re.search(r"[\"'\\{}\n]", text):
            raise _OtherwiseError
        return f"{{{text}}}"

    def _segment(self, node: python.expr) -> str:
        return python.get_source_segment(self.text, node) or ""

    def _percents(self, text: str, values: list[python.expr]) -> Iterator[str]:
        rest = list(values)
        position = 0
        for found in _PERCENT.finditer(text):
            yield self._plain(text[position : found.start()])
            if found[0] != "%%" and not rest:
                raise _OtherwiseError
            yield "%" if found[0] == "%%" else self._hole(rest.pop(0))
            position = found.end()
        yield self._plain(text[position:])
        if rest:
            raise _OtherwiseError

    def _plain(self, text: str) -> str:
        if "%" in text:  # of a format that is none here
            raise _OtherwiseError
        return text

    def _fields(self, text: str, call: python.Call) -> Iterator[str]:
        named = {item.arg: item.value for item in call.keywords if item.arg}
        position = count = 0
        for found in _FIELD.finditer(text):
            yield self._braceless(text[position : found.start()])
            position = found.end()
            if found[1] is None:
                yield found[0]
                continue
            value = _field(found[1], count, call.args, named)
            count += not found[1]
            yield self._hole(value)
        yield self._braceless(text[position:])

    def _braceless(self, text: str) -> str:
        if "{" in text or "}" in text:
            raise _OtherwiseError
        return text


def _field(
    name: str, count: int, values: list[python.expr], named: Mapping[str, python.expr]
) -> python.expr:
    """The argument that a field of `format` stands for."""
    if name and not name.isdigit():
        if name not in named:
            raise _OtherwiseError
        return named[name]
    index = int(name) if name else count
    if index >= len(values):
        raise _OtherwiseError
    return values[index]

"""Texts put together as in Python, `"c" + str(i)`, `"c%d" % i`, `"c{}".format(i)`, as strings here.

These are expressions of Python as well, so its own parser takes them apart.
"""

import ast as python
import re
from itertools import count

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
    text = text.strip()
    try:
        found = _Texts(text).of(python.parse(text, mode="eval").body)
    except (_OtherwiseError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return None if found is None else f'"{found}"'


class _Texts:
    """The parts of one text of Python, as they stand in a string here."""

    def __init__(self, text: str) -> None:
        self.text = text

    def of(self, node: python.expr) -> str | None:
        """What a node adds to the string; None if it is no text."""
        match node:
            case python.Constant(value=str()):
                return self._literal(node)
            case python.Call(func=python.Name(id="str"), args=[value], keywords=[]):
                return self._hole(value)
            case python.Call(
                func=python.Attribute(attr="format", value=python.Constant() as whole)
            ):
                return self._fields(self._literal(whole), node)
            case python.BinOp(op=python.Add(), left=left, right=right):
                texts = [self.of(left), self.of(right)]
                if texts == [None, None]:
                    return None
                both = zip((left, right), texts, strict=True)
                return "".join(self._hole(side) if text is None else text for side, text in both)
            case python.BinOp(op=python.Mod(), left=python.Constant(value=str()) as whole):
                right = node.right
                values = right.elts if isinstance(right, python.Tuple) else [right]
                return self._percents(self._literal(whole), values)
            case python.Call(func=python.Name(id="str" | "repr") | python.Attribute(attr="format")):
                raise _OtherwiseError
            case python.BinOp(op=python.Mod(), left=left) if self.of(left) is not None:
                raise _OtherwiseError
        return None

    def _literal(self, node: python.Constant) -> str:
        """The text between the quotes, as it is written."""
        quoted = _QUOTED.fullmatch(self._segment(node))
        _require(quoted is not None)
        return quoted[2] if quoted else ""

    def _hole(self, node: python.expr) -> str:
        text = self._segment(node)
        _require(not re.search(r"[\"'\\{}\n]", text))
        return f"{{{text}}}"

    def _segment(self, node: python.expr) -> str:
        return python.get_source_segment(self.text, node) or ""

    def _percents(self, text: str, values: list[python.expr]) -> str:
        _require("%" not in _PERCENT.sub("", text))
        _require(len(values) == sum(sign != "%%" for sign in _PERCENT.findall(text)))
        holes = map(self._hole, values)
        return _PERCENT.sub(lambda found: "%" if found[0] == "%%" else next(holes), text)

    def _fields(self, text: str, call: python.Call) -> str:
        _require(not re.search("[{}]", _FIELD.sub("", text)))
        values: dict[str | None, python.expr] = {item.arg: item.value for item in call.keywords}
        values |= {str(place): value for place, value in enumerate(call.args)}
        places = map(str, count())

        def field(found: re.Match[str]) -> str:
            if found[1] is None:
                return found[0]
            name = found[1] or next(places)
            _require(name in values)
            return self._hole(values[name])

        return _FIELD.sub(field, text)


def _require(condition: bool) -> None:
    if not condition:
        raise _OtherwiseError

"""Laying out Python: statements of at most 100 columns, broken as ruff breaks them.

Everything that comes from a spec passes `py` or `comment`; nothing else turns values into code.
"""

import itertools
import keyword
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

WIDTH = 100

MEANINGFUL = frozenset(
    {"self", "super", "nn", "torch", "F", "enumerate", "isinstance", "len", "range", "tuple", "zip"}
    | {"Sequence", "ValueError", "concat", "dense_block", "drop_path", "exits"}
    | {"_", "norm_act", "norm_relu", "pooled", "rerun", "shares_storage", "sign_ste"}
)
"""Names that mean something else in emitted code, so that no variable has them."""


@dataclass(frozen=True)
class Symbol:
    """A number that depends on constructor arguments: `constant + sum(factor * argument)`.

    `base` is its value for the arguments of the spec.
    """

    constant: int
    factors: tuple[tuple[str, int], ...]
    base: int

    def __str__(self) -> str:
        terms = [name if factor == 1 else f"{factor} * {name}" for name, factor in self.factors]
        text = " + ".join(terms)
        if self.constant:
            text += f" {'+' if self.constant > 0 else '-'} {abs(self.constant)}"
        return text


Value = int | float | bool | str | None | Symbol | tuple["Value", ...]
"""What a slot of emitted code may hold."""


def py(value: Value) -> str:
    """A value as Python source: the one filter between a spec and emitted code."""
    if isinstance(value, Symbol):
        return str(value)
    if isinstance(value, tuple):
        inner = ", ".join(map(py, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, str):
        text = repr(value)
        return text if "'" in value or '"' in value else f'"{text[1:-1]}"'
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    raise TypeError(f"{type(value).__name__} has no place in emitted code")


def sequence(values: tuple[Value, ...], *, nested: bool = False) -> str:
    """What a loop takes in turn: `range(24, 216, 12)` if the numbers progress evenly.

    With `nested`, each element is such a sequence itself.
    """
    if nested:
        rows = [sequence(row) for row in values if isinstance(row, tuple)]
        return f"({rows[0]},)" if len(rows) == 1 else f"({', '.join(rows)})"
    numbers = [value for value in values if type(value) is int]
    if len(numbers) < len(values) or len(numbers) < 2:
        return py(values)
    step = numbers[1] - numbers[0]
    even = all(b - a == step for a, b in pairwise(numbers))
    if not even or not step or (step < 0 and len(numbers) == 2):
        return py(values)
    arguments = [numbers[0], numbers[-1] + step, step]
    if step == 1:
        arguments = arguments[0 if numbers[0] else 1 : 2]
    return f"range({', '.join(map(str, arguments))})"


def words_of(code: "Code") -> list[str]:
    """The names that an expression reads, among other words."""
    return re.findall(r"[A-Za-z_]\w*", str(code))


def is_name(word: str) -> bool:
    return word.isascii() and word.isidentifier() and not keyword.iskeyword(word)


def comment(text: str) -> str:
    """Spec text for a comment or docstring: one line of printable ASCII, quotes escaped."""
    escaped = text.encode("ascii", "backslashreplace").decode()
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in escaped)
    return shown.replace("\\", "\\\\").replace('"""', "'''")


@dataclass(frozen=True)
class Bracketed:
    """`before` + items + `after`: what may be broken over lines.

    `before` ends with the opening bracket, `after` begins with the closing one. Items are separated
    by commas, or by spaces where they are the parts of a generator or of a sum. A sum has no
    brackets of its own: `before` is empty, and it gets some where it is broken.
    """

    before: str
    items: tuple["Code", ...]
    after: str
    separator: str = ","

    def __str__(self) -> str:
        return f"{self.before}{self.flat}{self.after}"

    @property
    def flat(self) -> str:
        """The items in one line."""
        return f"{self.separator} ".join(map(str, self.items))


Code = str | Bracketed


def call(function: str, arguments: Sequence[Code], after: str = "") -> Bracketed:
    return Bracketed(f"{function}(", tuple(arguments), f"){after}")


def generator(before: str, element: Code, clause: Code, after: str = ")") -> Bracketed:
    """`before(element clause)`, the clause being `for ... in ...`."""
    return Bracketed(before, (element, clause), after, separator="")


def terms(operator: str, operands: Sequence[str]) -> Bracketed:
    """`a + b + c`."""
    first, *others = operands
    return Bracketed("", (first, *(f"{operator} {other}" for other in others)), "", separator="")


def folded(template: str, operands: Sequence[str]) -> Code:
    """All operands joined from the left by a template of two."""
    if "(" not in template:
        return terms(template.split()[1], operands)
    code: Code = operands[0]
    for operand in operands[1:]:
        code = call(template.partition("(")[0], [code, operand])
    return code


def lines(indent: int, before: str, code: Code, after: str = "") -> list[str]:
    """A statement `before code after` at an indentation, broken only where it is too long."""
    flat = f"{' ' * indent}{before}{code}{after}"
    if len(flat) <= WIDTH:
        return [flat]
    if isinstance(code, str):
        code = _opened(code)
    if not code.items:
        return [flat]
    if not code.before and before:
        code = replace(code, before="(", after=")")
    elif not code.before:  # inside the brackets of something else
        *others, last = code.items
        return [f"{' ' * indent}{item}" for item in (*others, f"{last}{after}")]
    head, tail = f"{' ' * indent}{before}{code.before}", f"{' ' * indent}{code.after}{after}"
    inner = indent + 4
    if inner + len(code.flat) <= WIDTH and _may_share_a_line(code):
        return [head, f"{' ' * inner}{code.flat}", tail]
    broken = [line for item in code.items for line in lines(inner, "", item, code.separator)]
    return [head, *broken, tail]


def _may_share_a_line(code: Bracketed) -> bool:
    """A literal list or tuple that breaks has one element a line; a call's arguments may share."""
    called = code.before[-2:-1]
    return not code.separator or called.isalnum() or called in {"_", ")"}


_WORDS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|.""")


def _opened(text: str) -> Bracketed:
    """An expression by the items of its last brackets; without brackets, nothing to break."""
    items, start, depth, opening = list[str](), 0, 0, len(text)
    for word in _WORDS.finditer(text):
        if word[0] in "([{":
            depth += 1
            if depth == 1:
                items, opening, start = [], word.start(), word.end()
        elif depth == 1 and word[0] in ")]},":
            items.append(text[start : word.start()].strip())
            start = word.end()
        if word[0] in ")]}":
            depth -= 1
    return Bracketed(text[: opening + 1], tuple(filter(None, items)), text[start - 1 :])


def tensors(count: int) -> str:
    """The annotation of what a `forward` gives."""
    if count == 1:
        return "Tensor"
    return f"tuple[{', '.join(['Tensor'] * count)}]" if count <= 8 else "tuple[Tensor, ...]"


def bounds(start: int, count: str) -> str:
    """The arguments of the `range` of `count` numbers from `start` on; `count` is an expression."""
    if not start:
        return count
    return f"{start}, {int(count) + start}" if count.isdigit() else f"{start}, {count} + {start}"


def docstring(text: Sequence[str], indent: int) -> Iterator[str]:
    """A docstring of one or more lines; a paragraph of too long ones is filled anew."""
    pad = " " * indent
    shown: list[str] = []
    for blank, paragraph in itertools.groupby(map(comment, text), lambda line: not line.strip()):
        found = list(paragraph)
        if not blank and max(map(len, found)) > WIDTH - indent - 6:
            found = textwrap.wrap(" ".join(found), WIDTH - indent - 6, break_on_hyphens=False)
        shown += found
    while shown and not shown[-1]:
        shown.pop()
    if not shown:
        return
    if shown[-1].endswith('"'):
        shown[-1] += "."
    if len(shown) == 1:
        yield f'{pad}"""{shown[0]}"""'
        return
    yield f'{pad}"""{shown[0]}'
    for line in shown[1:]:
        yield f"{pad}{line}".rstrip()
    yield f'{pad}"""'

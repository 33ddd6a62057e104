"""The layout of clauses, pipes and brackets: what stands between the breaks that end statements.

Lines break inside brackets, after operators and before `->`, where the language lets them.
"""

from dataclasses import dataclass, replace

from archc.diagnostics import Source
from archc.layout import (
    WIDTH,
    Break,
    IfBroken,
    Layout,
    Newline,
    Trailing,
    either,
    flat_width,
    forced,
    group,
    nest,
    render,
    row,
)
from archc.syntax.format_comments import comment_lines, separated
from archc.syntax.format_shapes import with_extern_shapes, with_shapes
from archc.syntax.format_tokens import (
    NOTHING,
    Bracket,
    Token,
    TokenTrees,
    ends_operand,
    first_token,
    kind_of,
    read,
    spelling,
)
from archc.syntax.literals import Hole, pieces
from archc.syntax.messages import DECLARATIONS

WIDE_HEAD = 40
"""A pipe whose head ends beyond this column of its statement breaks before its first stage, too;
beyond twice that, the head breaks instead."""

# From the loosest to the tightest.
_OPERATORS = (
    frozenset(["OR"]),
    frozenset(["AND"]),
    frozenset(["COMPARE", "IN"]),
    frozenset(["PLUS_MINUS"]),
    frozenset(["STAR", "MUL_DIV"]),
)
_SIGNS = frozenset(["PLUS_MINUS", "STAR"])


# ------------------------------------------------------------------ clauses


def header(parts: TokenTrees) -> Layout:
    """What stands before a body. Of a block's two lists the first is the one to break."""
    if kind_of(parts[0]) not in ("BLOCK", "NET"):
        return clause(parts)
    parameters, inputs = parts[-2:]
    assert isinstance(parameters, Bracket)
    assert isinstance(inputs, Bracket)
    inputs = replace(inputs, parts=with_shapes(inputs.parts))
    line = clause((*parts[:-1], inputs))
    if forced(line):
        return line
    if not parameters.parts or flat_width(line) + len(" {") <= WIDTH:
        return line
    name = _spaced(parts[:-2])
    return row([name, _bracket(parameters, postfix=True, broken=True), _bracket(inputs, True)])


def clause(parts: TokenTrees) -> Layout:
    """A statement without its bodies."""
    if kind_of(parts[0]) == "EXTERN":
        parts = with_extern_shapes(parts)
    place = _find(parts, "EQUAL", "PLUS_EQUAL")
    if place is None:
        return _values(parts, 0)
    sign, value = parts[place], parts[place + 1 :]
    left = _values(parts[:place], 0)
    text = first_token(sign).text
    right = _values(value, flat_width(left) + len(f" {text} "))
    right = nest(right) if first_token(value[0]).comments else right
    return row([left, separated(sign, " "), text, separated(value[0], " "), right])


def _values(parts: TokenTrees, offset: int) -> Layout:
    """Values with commas between them; the first begins `offset` columns into the statement."""
    items = _split(parts, "COMMA")
    asserts = kind_of(parts[0]) == "ASSERT"
    lines = [_expression(items[0].parts, offset)]
    for item in items[1:]:
        if not item.parts:  # a last comma, which only a tuple of one needs
            lines.append("," if len(items) == 2 else "")
            continue
        separator = nest(Break()) if asserts else " "
        lines += [separated(item.separator, ""), ",", separated(item.parts[0], separator)]
        lines.append(_expression(item.parts, WIDE_HEAD))
    return group(*lines)


def _expression(parts: TokenTrees, offset: int = 0, *, bracketed: bool = False) -> Layout:
    """A choice or the inside of a comprehension: pipes with `for`, `if` and `else` between."""
    starts = [0, *(i for i in range(1, len(parts)) if _divides(parts, i))]
    chunks = [parts[i:j] for i, j in zip(starts, [*starts[1:], len(parts)], strict=True)]
    lines = [_pipe(chunks[0], offset, bracketed)]
    for chunk in chunks[1:]:
        # Outside of brackets a line break before `if` would end the statement.
        breaks = bracketed or kind_of(chunk[0]) == "ELSE"
        separator = (Break() if bracketed else nest(Break())) if breaks else " "
        lines += [separated(chunk[0], separator, deeper=not bracketed)]
        lines += [_pipe(chunk, WIDE_HEAD, bracketed)]
    return group(*lines)


def _divides(parts: TokenTrees, place: int) -> bool:
    kind = kind_of(parts[place])
    return kind in ("FOR", "ELSE") or (kind == "IF" and ends_operand(parts[place - 1]))


# -------------------------------------------------------------------- pipes


def _pipe(parts: TokenTrees, offset: int, bracketed: bool) -> Layout:
    """`head -> stage -> stage`: broken lines begin with `->`, below the first one.

    Outside of brackets the breaks of the author are kept: they group stages.
    """
    head, *stages = _split(parts, "ARROW")
    first = _chain(head.parts, bracketed)
    if not stages:
        return first
    segments: list[list[_Element]] = []
    for stage in stages:
        arrow = stage.separator
        if not segments or arrow.comments or (arrow.begins_line and not bracketed):
            segments.append([])
        segments[-1].append(stage)
    lines = [_segment(segments[0], bracketed)]
    for segment in segments[1:]:
        lines += [
            separated(segment[0].separator, Newline(), deeper=False),
            _segment(segment, bracketed),
        ]
    below = group(first, nest(separated(stages[0].separator, Break(), deeper=False), *lines))
    if stages[0].separator.comments:
        return below
    beside = row([first, " ", nest(*lines, align=True) if len(stages) > 1 else lines[0]])
    # A wider head breaks inside, so that it ends at a low column.
    middling = WIDE_HEAD < offset + flat_width(first) <= 2 * WIDE_HEAD
    return either(first, below, beside) if middling else beside


def _segment(stages: list["_Element"], bracketed: bool) -> Layout:
    """Stages that their author put on one line; if it is too long, each call begins a line."""
    lines: list[list[Layout]] = []
    for stage in stages:
        calls = any(isinstance(part, Bracket) for part in stage.parts)
        if not lines or calls:
            lines.append([])
        layout = row(["->", separated(stage.parts[0], " "), _chain(stage.parts, bracketed)])
        lines[-1] += [Break(), layout] if lines[-1] else [layout]
    first, *rest = [group(*line) for line in lines]
    return group(first, *(row([Break(), line]) for line in rest))


# ---------------------------------------------------------------- operators


def _chain(parts: TokenTrees, bracketed: bool) -> Layout:
    """Operands with operators between them; a line may break after an operator."""
    ends = next(filter(None, (_operators(parts, kinds) for kinds in _OPERATORS)), [])
    if not ends:
        return _spaced(parts)
    chunks = [parts[i:j] for i, j in zip([0, *ends], [*ends, len(parts)], strict=True)]
    lines: list[Layout] = []
    for chunk in chunks:
        if lines:
            # A line that begins with such a word reads as a declaration.
            separator = " " if first_token(chunk[0]).text in DECLARATIONS else Break()
            lines.append(separated(chunk[0], separator, deeper=False))
        lines.append(_chain(chunk, bracketed))
    return group(*lines) if bracketed else group(lines[0], nest(*lines[1:]))


def _operators(parts: TokenTrees, kinds: frozenset[str]) -> list[int]:
    """Where operators of these kinds end that have two operands in `parts`."""
    places: list[int] = []
    for i in range(1, len(parts) - 1):
        binary = ends_operand(parts[i - 1]) or kind_of(parts[i - 1]) == "NOT"  # `not in`
        if binary and kind_of(parts[i]) in kinds:
            places.append(i + 1)
    return places


def _spaced(parts: TokenTrees) -> Layout:
    """Parts in a row, with a space between them or none."""
    lines: list[Layout] = []
    for i, part in enumerate(parts):
        if i > 0:
            lines.append(separated(part, _space(parts, i)))
        postfix = i > 0 and ends_operand(parts[i - 1])
        lines.append(
            _bracket(part, postfix) if isinstance(part, Bracket) else _text(first_token(part))
        )
    return row(lines)


def _space(parts: TokenTrees, place: int) -> str:
    left, part = parts[place - 1], parts[place]
    kind, left_kind = kind_of(part), kind_of(left)
    if left_kind == "NUMBER" and kind == "DOT":
        return " "
    if kind in ("COMMA", "COLON", "DOT") or left_kind in ("AT", "DOT"):
        return ""
    signs = left_kind in _SIGNS and not (place > 1 and ends_operand(parts[place - 2]))
    applies = isinstance(part, Bracket) and ends_operand(left)
    return "" if signs or applies else " "


# ----------------------------------------------------------------- brackets


def _bracket(bracket: Bracket, postfix: bool, broken: bool = False) -> Layout:
    """`( )` or `[ ]`. `postfix` if it belongs to what is before it: arguments, or an index.

    A bracket that its author broke and closed with a comma stays broken.
    """
    opener, closer = bracket.opener, bracket.closer
    if not bracket.parts and not closer.comments:
        return opener.text + closer.text
    listing = bracket.parts != () and _lists(bracket, postfix)
    items = _split(bracket.parts, "COMMA") if listing else [_Element(NOTHING, bracket.parts)]
    end = ""
    tail = closer.comments
    if len(items) > 1 and not items[-1].parts:
        tail = items.pop().separator.comments + tail
        broken = broken or closer.begins_line
        end = "," if len(items) == 1 and not postfix and opener.kind == "LPAR" else ""
    lines = _elements(items, postfix and opener.kind == "LSQB") if bracket.parts else []
    lines.append(end or (IfBroken(",") if listing else ""))
    lines += comment_lines(tail, first=not bracket.parts)
    return group(opener.text, nest(*lines), Break(""), closer.text, broken=broken)


def _lists(bracket: Bracket, postfix: bool) -> bool:
    """Whether a bracket holds elements with commas between them, and may end with one."""
    if bracket.opener.kind == "LPAR":
        return postfix or _find(bracket.parts, "COMMA") is not None
    return not postfix and _find(bracket.parts, "FOR") is None


def _elements(items: list["_Element"], index: bool) -> list[Layout]:
    numbers = all(_is_bare_number(item) for item in items)
    lines: list[Layout] = []
    for item in items:
        token = first_token(item.parts[0])
        layout = _slice(item.parts) if index else _item(item.parts)
        start: Layout = Break(" " if lines else "")
        if token.comments:
            start = Newline(token.comments[-1].own_line and token.after_blank)
        elif numbers and lines:  # as many on a line as fit
            start, layout = group(start, layout), ""
        comma = _comma(item.separator, token) if lines else []
        lines += [*comma, *comment_lines(token.comments, first=not lines), start, layout]
    return lines


def _is_bare_number(item: "_Element") -> bool:
    comments = item.separator.comments + first_token(item.parts[0]).comments
    return not comments and [kind_of(part) for part in item.parts] == ["NUMBER"]


def _comma(comma: Token, after: Token) -> list[Layout]:
    """A comma; the comment before it goes behind it, if none is there."""
    if not comma.comments:
        return [","]
    if len(comma.comments) == 1 and all(comment.own_line for comment in after.comments):
        return [",", Trailing(comma.comments[0].text)]
    return [*comment_lines(comma.comments), Newline(), ","]


def _item(parts: TokenTrees) -> Layout:
    """An element, an argument `name=value`, or a parameter `name: kind = value`."""
    place = _find(parts, "EQUAL")
    if place is None:
        return _expression(parts, bracketed=True)
    space = " " if _find(parts[:place], "COLON") is not None else ""
    sign, value = parts[place], parts[place + 1 :]
    right = _expression(value, bracketed=True)
    return row(
        [_spaced(parts[:place]), separated(sign, space), "=", separated(value[0], space), right]
    )


def _slice(parts: TokenTrees) -> Layout:
    """An index, or a slice: no spaces around its `:` unless a bound is more than a word."""
    bounds = _split(parts, "COLON")
    if len(bounds) == 1:
        return _expression(parts, bracketed=True)
    simple = all(len(bound.parts) < 2 or _signed(bound.parts) for bound in bounds)
    lines: list[Layout] = []
    for i, bound in enumerate(bounds):
        if i > 0:
            left = " " if not simple and bounds[i - 1].parts else ""
            lines += [separated(bound.separator, left) if lines else "", ":"]
        if bound.parts:
            right = " " if not simple else ""
            lines.append(separated(bound.parts[0], right) if lines else "")
            lines.append(_expression(bound.parts, bracketed=True))
    return row(lines)


def _signed(parts: TokenTrees) -> bool:
    return len(parts) == 2 and kind_of(parts[0]) in _SIGNS


# ------------------------------------------------------------------- tokens


def _text(token: Token) -> str:
    return _string(token.text) if token.kind == "STRING" else spelling(token)


def _string(text: str) -> str:
    """A string with the expressions in its holes in the one style, too."""
    if "{" not in text:
        return text
    source = Source("", text)
    holes = [piece for piece in pieces(source, 0, len(text)) if isinstance(piece, Hole)]
    for hole in reversed(holes):
        inner = text[hole.start : hole.end]
        if "#" not in inner:
            text = text[: hole.start] + _hole(inner) + text[hole.end :]
    return text


def _hole(text: str) -> str:
    (parts,), _ = read(Source("", text), "expr")
    return render(_expression(parts, bracketed=True), width=len(text) * 3)


# ------------------------------------------------------------------- pieces


@dataclass(frozen=True, slots=True)
class _Element:
    """Parts, and the token that separates them from those before."""

    separator: Token
    parts: TokenTrees


def _split(parts: TokenTrees, kind: str) -> list[_Element]:
    items: list[_Element] = []
    start, separator = 0, NOTHING
    for i, part in enumerate(parts):
        if kind_of(part) == kind:
            items.append(_Element(separator, parts[start:i]))
            start, separator = i + 1, first_token(part)
    return [*items, _Element(separator, parts[start:])]


def _find(parts: TokenTrees, *kinds: str) -> int | None:
    return next((i for i, part in enumerate(parts) if kind_of(part) in kinds), None)

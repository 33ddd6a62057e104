"""Shapes, in which a multiple is one word: `[3, 32*h + 16, 32*w]`."""

from dataclasses import replace

from archc.syntax.format_tokens import (
    Bracket,
    TokenTree,
    TokenTrees,
    first_token,
    kind_of,
    spelling,
)

_WORDS = ("NUMBER", "NAME")
_MULTIPLES = [[first, "STAR", second] for first in _WORDS for second in _WORDS]
_BETWEEN_TERMS = frozenset(["PLUS_MINUS", "COMMA"])


def with_shapes(parts: TokenTrees) -> TokenTrees:
    """Parts whose square brackets are shapes: their terms of two words are joined."""
    return tuple(
        replace(part, parts=_joined(part.parts))
        if isinstance(part, Bracket) and part.opener.kind == "LSQB"
        else part
        for part in parts
    )


def with_extern_shapes(parts: TokenTrees) -> TokenTrees:
    """An extern layer's shapes: those of several inputs stand in parentheses after the colon, those
    of several results after the arrow."""
    kinds = ["", *map(kind_of, parts)]
    opened = tuple(
        replace(part, parts=with_shapes(part.parts))
        if isinstance(part, Bracket) and before in ("COLON", "ARROW")
        else part
        for before, part in zip(kinds, parts, strict=False)
    )
    return with_shapes(opened)


def _joined(parts: TokenTrees) -> TokenTrees:
    kinds = ["COMMA", *map(kind_of, parts), "COMMA"]
    found: list[TokenTree] = []
    i = 0
    while i < len(parts):
        before, *term, after = kinds[i : i + 5]
        bounded = before in _BETWEEN_TERMS and after in _BETWEEN_TERMS
        if bounded and term in _MULTIPLES and not _commented(parts[i + 1 : i + 3]):
            first, _, second = map(first_token, parts[i : i + 3])
            text = f"{spelling(first)}*{spelling(second)}"
            found.append(replace(first, kind="NAME", text=text))
            i += 3
        else:
            found.append(parts[i])
            i += 1
    return tuple(found)


def _commented(parts: TokenTrees) -> bool:
    return any(first_token(part).comments for part in parts)

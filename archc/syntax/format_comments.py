"""Where comments go: each stays between the two tokens between which it stands in the source.

A token knows the comments before it; they are written by whatever writes the line break or the
separator before the token.
"""

from collections.abc import Iterable

from archc.layout import Layout, Newline, Trailing, nest, row
from archc.syntax.format_tokens import Comment, Token, TokenTree, first_token


def comment_lines(found: Iterable[Comment], *, first: bool = False) -> list[Layout]:
    """Comments inside brackets or a body; there is no blank line above the `first` thing in it."""
    lines: list[Layout] = []
    for comment in found:
        if comment.own_line or lines:  # behind another comment there is no place for one
            lines += [Newline(comment.after_blank and not first), comment.text]
        else:
            lines.append(Trailing(comment.text))
        first = first and not comment.own_line
    return lines


def separated(part: TokenTree, separator: Layout, *, deeper: bool = True) -> Layout:
    """What stands before a part: a separator, or comments and a line break in its place.

    `deeper` says whether the line that begins after a comment continues one step deeper.
    """
    token = first_token(part)
    if not token.comments:
        return separator
    blank = token.comments[-1].own_line and token.after_blank
    lines = [*comment_lines(token.comments), Newline(blank)]
    return nest(*lines) if deeper else row(lines)


def statement_break(token: Token, *, blank: bool, first: bool, apart: bool = False) -> Layout:
    """The comments before a statement and the line break that it begins with.

    `blank` keeps a blank line directly above the statement, and `apart` asks for one somewhere
    between it and the one before; the `first` one of a body has none above it.
    """
    own = [comment for comment in token.comments if comment.own_line]
    apart = apart and not token.after_blank and not any(comment.after_blank for comment in own)
    lines = comment_lines(token.comments, first=first)
    if apart and own:
        lines[len(token.comments) - len(own)] = Newline(blank=True)
    above = (blank and not (first and not own)) or (apart and not own)
    return row([*lines, Newline(above)])

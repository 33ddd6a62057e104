"""What a condition would be that has the value which Python takes as true or false."""

from collections.abc import Set

from archc.diagnostics import Fix
from archc.elaborate.pytorch.hidden import hidden_in
from archc.elaborate.values import Datum, is_number
from archc.syntax import ast
from archc.syntax.edits import appended, replaced

_LOOSER = ast.Choice | ast.Pipe | ast.Compare | ast.Logical
"""Expressions that bind less tightly than a comparison."""


def truth_of(
    expr: ast.Expr, value: Datum, own: Set[str], *, tested: bool
) -> tuple[str | None, Fix]:
    """The help and the mend; none where the value itself may be used, and is not only `tested`.

    `own` are the names that the spec binds itself."""
    if not tested:
        return "`and` and `or` give true or false; to choose a value write `a if c else b`", ()
    if is_number(value):
        fix = () if isinstance(expr, _LOOSER) else appended(expr.span, " != 0")
        return "compare it, as in `n > 0`; Python means `n != 0`", fix
    if isinstance(value, list | tuple | str):
        text = f"len({expr.span.text}) > 0"
        fix = replaced(expr.span, text)
        return f"write `{text}`", () if hidden_in(fix, own) else fix
    return None, ()

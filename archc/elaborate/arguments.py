"""Binding the arguments of a call to parameters, with the errors that this can meet."""

from collections.abc import Mapping, Sequence

from archc.diagnostics import Label, Span, error
from archc.elaborate.pytorch.mends import mend_value
from archc.elaborate.pytorch.parameter_names import instead_of_unknown, written_as
from archc.elaborate.pytorch.texts import unquoted
from archc.elaborate.values import Datum, Given, describe
from archc.ops.op import OpError, TorchValue
from archc.ops.registry import Parametrised, Unfit, check
from archc.ops.size import Size
from archc.syntax.edits import replaced, value_of, without_arguments


def bind(
    callee: str,
    slots: Mapping[str, bool],
    arguments: Sequence[Given],
    span: Span,
    channels: int | None = None,
) -> Mapping[str, Given]:
    """Which argument each parameter gets; parameters without one are left out.

    `slots` says of each parameter whether it has to be given; `channels` are those of the tensor
    that a layer is about to be applied to.
    """
    bound: dict[str, Given] = {}
    names = list(slots)
    positional = [argument for argument in arguments if argument.name is None]
    if len(positional) > len(names):
        extra = positional[len(names)]
        takes = f"at most {len(names)} arguments" if names else "no arguments"
        raise error(
            "E0311",
            f"`{callee}` takes {takes}",
            extra.span,
            help=written_as(callee, slots),
        )
    bound.update(zip(names, positional, strict=False))
    named = {argument.name for argument in arguments if argument.name is not None}
    for argument in arguments:
        if argument.name is None:
            continue
        if argument.name not in names:
            help, fix = instead_of_unknown(
                callee, argument, slots, {*bound, *named}, span, channels
            )
            raise error(
                "E0312",
                f"`{callee}` has no parameter `{argument.name}`",
                argument.span,
                help=help,
                fix=fix,
            )
        if argument.name in bound:
            raise error(
                "E0313",
                f"`{callee}` gets `{argument.name}` twice",
                Label(argument.span, "again here"),
                Label(bound[argument.name].span, "first here"),
                help="leave one of them out",
                fix=without_arguments(argument.span)
                if argument.value == bound[argument.name].value
                else (),
            )
        bound[argument.name] = argument
    for name, required in slots.items():
        if required and name not in bound:
            raise error("E0314", f"`{callee}` needs `{name}`", span, help=written_as(callee, slots))
    return bound


_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "string": (str,),
    "list": (list, tuple),
}


def check_kind(name: str, kind: str | None, value: Datum, span: Span) -> Datum:
    """A value for a parameter declared with a kind; an int is welcome where a float is."""
    if kind is None:
        return value
    accepted = isinstance(value, _KINDS[kind]) and (kind == "bool" or not isinstance(value, bool))
    if not accepted:
        written = value_of(span)
        bare = unquoted(value, written.text)
        help = new = None
        if bare is not None and kind in bare[1]:
            help, new = f"write `{bare[0]}`", bare[0]
        elif kind == "int" and isinstance(value, float) and value.is_integer():
            help = "`//` divides to a whole number, `int()` makes one"
            new = f"int({written.text})"
        message = f"`{name}` is declared `{kind}`, not {describe(value)}"
        raise error("E0315", message, span, help=help, fix=replaced(written, new) if new else ())
    return float(value) if kind == "float" else value


def checked_values(
    cls: type[Parametrised], given: Mapping[str, Given], code: str
) -> dict[str, TorchValue]:
    """Arguments as the fields of a class hold them. Raises ArchError, of the given code."""
    values: dict[str, TorchValue] = {}
    for name, argument in given.items():
        value = argument.value
        fit = isinstance(value, int | float | str | list | tuple | Size)
        try:
            values[name] = check(cls, name, value if fit else Unfit(describe(value)))
        except OpError as refusal:
            help, fix = mend_value(given, name, refusal)
            raise error(code, refusal.message, argument.span, help=help, fix=fix) from None
    return values

"""Binding the arguments of a call to parameters, with the errors that this can meet."""

from collections.abc import Mapping, Sequence

from archc.diagnostics import Fix, Label, Span, error, nearest
from archc.elaborate.pytorch.mends import mend_value
from archc.elaborate.pytorch.signatures import FIXED, INFERRED, NEEDLESS
from archc.elaborate.pytorch.texts import unquoted
from archc.elaborate.pytorch.translated_arguments import same
from archc.elaborate.pytorch.vocabulary import PARAMETERS, SHORT
from archc.elaborate.values import Given, Value, describe
from archc.ops.op import OpError, TorchValue
from archc.ops.registry import OPS, Parametrised, Unfit, check
from archc.ops.size import Size
from archc.syntax.edits import (
    appended,
    is_stage,
    renamed_argument,
    replaced,
    value_of,
    without_arguments,
)


def bind(
    callee: str, slots: Mapping[str, bool], arguments: Sequence[Given], span: Span
) -> Mapping[str, Given]:
    """Which argument each parameter gets; parameters without one are left out.

    `slots` says of each parameter whether it has to be given.
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
            help=_signature(callee, slots),
        )
    bound.update(zip(names, positional, strict=False))
    named = {argument.name for argument in arguments if argument.name is not None}
    for argument in arguments:
        if argument.name is None:
            continue
        if argument.name not in names:
            help, fix = _of_unknown(callee, argument, slots, {*bound, *named}, span)
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
            raise error("E0314", f"`{callee}` needs `{name}`", span, help=_signature(callee, slots))
    return bound


def _signature(callee: str, slots: Mapping[str, bool]) -> str:
    words = (name if required else f"{name}=..." for name, required in slots.items())
    return f"it is written `{callee}({', '.join(words)})`"


def _of_unknown(
    callee: str, argument: Given, slots: Mapping[str, bool], given: set[str], call: Span
) -> tuple[str, Fix]:
    """What to do about an argument whose name is no parameter's, beside those that are `given`."""
    name, place = argument.name or "", argument.span
    names = list(slots)
    theirs = _of_torch(callee, argument, names, given)
    if theirs is not None:
        return theirs
    if name == "activation" and isinstance(argument.value, str):
        then = f" -> {argument.value}"
        fix = (*without_arguments(place), *appended(call, then)) if is_stage(call) else ()
        return f"apply it after the layer: `{callee}(...){then}`", fix
    if name == "name":
        help = f"a label names a layer: `-> {argument.value}: {callee}(...)`"
        return help, without_arguments(place)
    free = [other for other in names if other not in given]
    near = SHORT[name] if SHORT.get(name) in free else nearest(name, free)
    if near is None:
        written = _signature(callee, slots)
        if nearest(name, names) is None:
            return written, ()
        return f"leave it out: {written}", ()
    return f"did you mean `{near}`?", renamed_argument(place, near)


def _of_torch(
    callee: str, argument: Given, names: Sequence[str], given: set[str]
) -> tuple[str, Fix] | None:
    """What to do about a parameter of another library's; None if it is none that is known."""
    name, place = argument.name or "", argument.span
    ours = PARAMETERS.get(name)
    if ours in given:
        return f"leave one of them out: archc calls it `{ours}`, which is given", ()
    if ours is not None and ours in names:
        return f"archc calls it `{ours}`", renamed_argument(place, ours)
    if name in INFERRED | NEEDLESS | _INFERRED_TOO and callee in OPS:
        return f"leave it out: archc infers or needs no `{name}`", without_arguments(place)
    fixed = FIXED.get((callee, _AXIS.get(name, name)))
    if fixed is not None:
        if any(same(argument.value, value) for value in fixed.values):
            return f"leave it out: `{callee}` {fixed.words}", without_arguments(place)
        return f"`{callee}` {fixed.words}", ()
    return None


_INFERRED_TOO = {"in_chans", "normalized_shape"}
_AXIS = {"axis": "dim"}

_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "string": (str,),
    "list": (list, tuple),
}


def check_kind(name: str, kind: str | None, value: Value, span: Span) -> Value:
    """A value for a parameter declared with a kind; an int is welcome where a float is."""
    if kind is None:
        return value
    accepted = isinstance(value, _KINDS[kind]) and (kind == "bool" or not isinstance(value, bool))
    if not accepted:
        whole = kind == "int" and isinstance(value, float) and value.is_integer()
        written = value_of(span)
        bare = unquoted(value, written.text)
        if bare is not None and kind in bare[1]:
            message = f"`{name}` is declared `{kind}`, not {describe(value)}"
            fix = replaced(written, bare[0])
            raise error("E0315", message, span, help=f"write `{bare[0]}`", fix=fix)
        raise error(
            "E0315",
            f"`{name}` is declared `{kind}`, not {describe(value)}",
            span,
            help="`//` divides to a whole number, `int()` makes one" if whole else None,
            fix=replaced(written, f"int({written.text})") if whole else (),
        )
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

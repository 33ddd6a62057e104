"""Binding the arguments of a call to parameters, with the errors that this can meet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archc.diagnostics import Label, Span, did_you_mean, error
from archc.elaborate.values import Value, describe

_FROM_TORCH = {
    "out_channels": "out", "out_features": "out", "filters": "out", "channels": "out",
    "kernel_size": "kernel", "ksize": "kernel", "strides": "stride", "pad": "padding",
    "scale_factor": "scale", "p": "rate", "drop": "rate", "dim": None, "inplace": None,
    "in_channels": None, "num_features": None, "in_features": None, "num_channels": None,
    "normalized_shape": None, "num_groups": "groups", "elementwise_affine": "affine",
    "negative_slope": "slope", "upscale_factor": "factor", "downscale_factor": "factor",
    "block_size": "factor", "output_size": "size", "group_width": "group_size",
    "init_value": "init", "init_values": "init",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Given:
    """One evaluated argument."""

    name: str | None
    value: Value
    span: Span


@dataclass(frozen=True, slots=True)
class Slot:
    """One parameter of what is called."""

    name: str
    required: bool


def bind(
    callee: str, slots: Sequence[Slot], arguments: Sequence[Given], span: Span
) -> Mapping[str, Given]:
    """Which argument each parameter gets; parameters without one are left out."""
    bound: dict[str, Given] = {}
    names = [slot.name for slot in slots]
    positional = [argument for argument in arguments if argument.name is None]
    if len(positional) > len(names):
        extra = positional[len(names)]
        takes = f"at most {len(names)} arguments" if names else "no arguments"
        raise error(
            "E0311", f"`{callee}` takes {takes}", extra.span, help=_signature(callee, slots)
        )
    bound.update(zip(names, positional, strict=False))
    for argument in arguments:
        if argument.name is None:
            continue
        if argument.name not in names:
            raise error(
                "E0312",
                f"`{callee}` has no parameter `{argument.name}`",
                argument.span,
                help=_parameter_help(callee, argument.name, slots),
            )
        if argument.name in bound:
            raise error(
                "E0313",
                f"`{callee}` gets `{argument.name}` twice",
                Label(argument.span, "here"),
                Label(bound[argument.name].span, "and here"),
            )
        bound[argument.name] = argument
    for slot in slots:
        if slot.required and slot.name not in bound:
            raise error(
                "E0314", f"`{callee}` needs `{slot.name}`", span, help=_signature(callee, slots)
            )
    return bound


def _signature(callee: str, slots: Sequence[Slot]) -> str:
    words = (slot.name if slot.required else f"{slot.name}=..." for slot in slots)
    return f"it is written `{callee}({', '.join(words)})`"


def _parameter_help(callee: str, name: str, slots: Sequence[Slot]) -> str:
    names = [slot.name for slot in slots]
    if name in _FROM_TORCH:
        ours = _FROM_TORCH[name]
        if ours in names:
            return f"archc calls it `{ours}`"
        if ours is None:
            return f"leave it out: archc infers or needs no `{name}`"
    return did_you_mean(name, names) or _signature(callee, slots)


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
        raise error(
            "E0315",
            f"`{name}` is declared `{kind}`, not {describe(value)}",
            span,
            help="`//` divides to a whole number, `int()` makes one" if whole else None,
        )
    return float(value) if kind == "float" else value

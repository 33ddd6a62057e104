"""Texts of valid `.arch` files, drawn statement by statement, so that no example is thrown away.

All of the language is drawn but extern layers, whose meaning no generated spec can know.
"""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from archc.diagnostics import did_you_mean
from archc.ops.op import TensorType
from archc.ops.registry import OPS
from archc.ops.size import Size
from archc.testing.body import Writer
from archc.testing.names import AWKWARD
from archc.testing.parts import LIBRARY, InnerNet
from archc.testing.stages import Draw, Env, Unfit, Val, const
from archc.testing.statements import Statements


@dataclass(frozen=True)
class Spec:
    """A spec's text, the shapes to feed it with (batch axis left out), and what it exercises."""

    text: str
    shapes: tuple[tuple[int, ...], ...]

    def __repr__(self) -> str:
        return f"Spec({self.shapes})\n{self.text}"


FLAT = (None, "relu", "bn", "layer_norm", "sigmoid", "tanh", "dropout", "concat", "add", "sum")
"""Operators for which the inputs may be vectors."""


@st.composite
def specs(draw: Draw, operator: str | None = None) -> Spec:
    """A valid spec, small enough to run in a moment; `operator` is surely in its first net.

    Raises ValueError for what is no operator of archc's own.
    """
    if operator is not None and operator not in OPS:
        near = did_you_mean(operator, OPS) or "it may be of another distribution: see `graph_of`"
        raise ValueError(f"archc has no operator `{operator}`: {near}")
    writer = Writer(draw)
    parameters = {name: _value(writer, name) for name in PARAMETERS if writer.chance(45)}
    constants = {"base": writer.one_of((2, 3, 4))} if writer.chance(20) else {}
    env: Env = {**parameters, **constants}
    inputs = _inputs(writer, operator)
    env.update(_values(inputs))
    body = Statements(writer, env, keep=False, depth=0, net=True)
    if operator:
        body.show(operator)
    for _ in range(writer.one_of((1, 2, 3, 4, 5, 6))):
        body.act()
    _end(body)
    name = writer.one_of(("Net", "Small", "net_"))
    shown = ", ".join(f"{name}: {shape}" for name, (shape, _) in inputs.items())
    notes = ['@init("he_normal", fan="out")\n', "## A net.\n"]
    note = writer.one_of(notes) if writer.chance(25) else ""
    defaults, variant = _variant(writer, name, parameters, body, {**constants, **_values(inputs)})
    net = note + "\n".join([f"net {name}({_words(defaults)})({shown}) {{", *body.lines, "}"])
    blocks = [block.text for block in writer.blocks if not isinstance(block, InnerNet)]
    inner = [block.text for block in writer.blocks if isinstance(block, InnerNet)]
    if writer.chance(30):
        blocks.reverse()
    parts = [*variant, net, *blocks] if writer.chance(25) else [*blocks, *variant, net]
    parts = [*(f"const {name} = {value}" for name, value in constants.items()), *parts, *inner]
    if any("DenseBlock(" in part for part in parts):
        parts.insert(0, f'import "{LIBRARY}"')
    head = "arch 1\n\n" if writer.chance(20) else ""
    text = head + "\n\n".join(parts) + "\n"
    return Spec(text, tuple(value.real.shape for _, value in inputs.values()))  # type: ignore[misc]


PARAMETERS = ("width", "classes", "deep")


def _value(writer: Writer, name: str) -> Any:
    return writer.one_of((True, False) if name == "deep" else (2, 3, 4, 5))


def _words(values: Env) -> str:
    return ", ".join(f"{name}={const(value).text}" for name, value in values.items())


def _values(inputs: dict[str, tuple[str, Val]]) -> Env:
    return {name: value for name, (_, value) in inputs.items()}


def _variant(
    writer: Writer, name: str, parameters: Env, body: Statements, others: Env
) -> tuple[Env, list[str]]:
    """The defaults of the net; at times they are other ones, and a variant before it has ours."""
    if not parameters or not writer.chance(30):
        return parameters, []
    given = {name: value for name, value in parameters.items() if writer.chance(70)}
    defaults = {**parameters, **{name: _value(writer, name) for name in given}}
    try:
        env = {**others, **defaults}
        for step in body.steps:
            step(env)
    except Unfit:
        defaults = parameters
    return defaults, [f"net {name}Variant = {name}({_words(given)})"]


def _inputs(writer: Writer, operator: str | None) -> dict[str, tuple[str, Val]]:
    """The net's tensors: their shapes as text, and their types."""
    ranks = {"pixel_shuffle": (2,), "space_to_depth": (2,), "linear": (2, 0)}
    rank = writer.one_of(ranks.get(operator or "", (2, 2, 2, 2, 1, 1, 3, 3)))
    rank = 0 if operator in FLAT and writer.chance(30) else rank
    symbolic = rank > 0 and operator not in ("reshape", "flatten") and writer.chance(40)
    words: list[str] = []
    declared: list[int | Size] = []
    fed: list[int] = []
    for axis in range(rank):
        most = (12, 10, 6)[rank - 1]
        if symbolic and writer.chance(80):
            symbol = ("H", "W", "D")[axis]
            factor = writer.one_of((1, 2, 4)) if rank < 3 else writer.one_of((1, 2))
            fed.append(factor * writer.one_of(range(1 if factor == 4 else 2, most // factor + 1)))
            words.append(symbol if factor == 1 else f"{factor}*{symbol}")
            declared.append(Size(symbol) * factor)
        else:
            fed.append(writer.one_of(range(4, most + 1)))
            words.append(str(fed[-1]))
            declared.append(fed[-1])
    found: dict[str, tuple[str, Val]] = {}
    for _ in range(writer.one_of((1, 1, 1, 2, 2, 3))):
        taken = {*found, *OPS, *PARAMETERS, "base"}
        name = writer.pick(["image", "x", "second", "depth_"], AWKWARD, taken)
        channels = writer.one_of(range(1, 7))
        value = Val(TensorType((channels, *declared)), TensorType((channels, *fed)))
        found[name] = (f"[{', '.join([str(channels), *words])}]", value)
    return found


def _end(body: Statements) -> None:
    """The net's `return`: a classifier, several tensors, or nothing beside its exits."""
    if body.exits and body.chance(25):
        return
    results = body.one_of(1, 1, 1, 2, 3)
    while len(body.unread) > results and body.attempt(body.merge):
        pass
    results = max(results, len(body.unread))
    name = body.unread[-1] if body.unread else body.tensors()[-1]
    if len(body.unread) < 2 and body.chance(55):
        classes = "classes" if "classes" in body.env else "3"
        pool = "-> global_avg_pool " if body.env[name].rank else ""
        label = f"{body.quoted(body.label())}: " if body.chance(80) else ""
        body.say(f"return {name} {pool}-> {label}linear({classes})")
        return
    body.finish(results)

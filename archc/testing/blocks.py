"""Blocks of generated specs, and their application."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from archc.testing.stages import Env, Made, MadeStage, Num, OpStage, Step, Unfit, Val, const


@dataclass
class Block:
    """A block: its text, and its steps."""

    name: str
    inputs: tuple[str, ...]
    keep: bool
    parameters: list[tuple[str, Num | None]] = field(default_factory=list)
    """A name and its default, if it has one."""
    lines: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    results: tuple[str, ...] = ()
    exits: bool = False

    def apply(self, arguments: Env, operands: Sequence[Val]) -> list[Val]:
        env: Env = {}
        for name, default in self.parameters:
            env[name] = arguments[name] if name in arguments else _default(default, env)
        env.update(zip(self.inputs, operands, strict=True))
        for step in self.steps:
            step(env)
        return [env[name] for name in self.results]

    @property
    def text(self) -> str:
        words = [f"{n} = {d.text}" if d else n for n, d in self.parameters]
        head = f"block {self.name}({', '.join(words)})({', '.join(self.inputs)}) {{"
        return "\n".join([head, *self.lines, "}"])


def _default(default: Num | None, env: Env) -> Any:
    if default is None:
        raise Unfit("an argument is missing")
    return default.value(env)


@dataclass(frozen=True)
class BlockStage:
    """A block with its arguments, `Cell(8, growth=2)`."""

    block: Block
    args: tuple[tuple[str, Num], ...]
    keywords: bool

    @property
    def text(self) -> str:
        order = [name for name, _ in self.block.parameters]
        words: list[str] = []
        for i, (name, value) in enumerate(self.args):
            plain = not self.keywords and order[i] == name and len(words) == i
            words.append(value.text if plain else f"{name}={value.text}")
        return f"{self.block.name}({', '.join(words)})" if self.args else self.block.name

    def run(self, env: Env, operands: Sequence[Val]) -> list[Val]:
        if len(operands) != len(self.block.inputs):
            raise Unfit("operands")
        arguments = {name: value.value(env) for name, value in self.args}
        return self.block.apply(arguments, operands)

    def made(self, env: Env) -> Made:
        arguments = {name: value.value(env) for name, value in self.args}
        return Made(lambda operands: self.block.apply(arguments, operands), None)


@dataclass(frozen=True)
class ConstructedStage:
    """`kind(x.channels)`: the constructor that a block was given, which is `conv`."""

    parameter: str
    source: str

    @property
    def text(self) -> str:
        return f"{self.parameter}({self.source}.channels)"

    def run(self, env: Env, operands: Sequence[Val]) -> list[Val]:
        return OpStage("conv", (("out", const(env[self.source].channels)),)).run(env, operands)


Stage = OpStage | BlockStage | MadeStage | ConstructedStage

"""Statements over lists of tensors: rows of layers that take `*xs` and give a list."""

from collections.abc import Sequence
from dataclasses import dataclass

from archc.ops.registry import OPS
from archc.testing.applications import Applications
from archc.testing.blocks import Block
from archc.testing.stages import Env, OpStage, Unfit, Val, const, infer


@dataclass
class Layer(Block):
    """A block that makes of each tensor another one, and adds to it what it reads of its neighbour.

    Of its results it drops the first `dropped` ones.
    """

    kernel: int = 1
    dropped: int = 0

    def apply(self, arguments: Env, operands: Sequence[Val]) -> list[Val]:
        width = const(arguments["width"])
        conv = OpStage("conv", (("out", width), ("kernel", const(self.kernel))))
        made = [value for operand in operands for value in conv.run({}, [operand])]
        joined = made[:1]
        for one, finer in zip(made[1:], operands, strict=False):
            joined.append(infer(OPS["add"](), [one, *conv.run({}, [finer])]))
        return joined[self.dropped :]

    def write(self, *, labels: bool) -> None:
        """The body."""
        same, down = ('"same{s}": ', '"down{s}": ') if labels else ("", "")
        conv = f"conv(width, {self.kernel})"
        self.lines = [
            "    ys = []",
            f"    for s in range({self.dropped}, len(xs)) {{",
            f"        y = xs[s] -> {same}{conv}",
            f"        if s > 0 {{ y = y + (xs[s - 1] -> {down}{conv}) }}",
            "        ys += [y]",
            "    }",
            "    return ys",
        ]


class Grids(Applications):
    """A body that writes grids."""

    def grid(self) -> None:
        """Two or three tensors through a row of layers together; a last layer may drop one."""
        if self.depth >= 2:
            raise Unfit("deep enough")
        base = self.tensor(lambda value: value.rank >= 1)
        sources = [base]
        for _ in range(self.one_of(1, 2)):
            sources.append(self.variable())
            conv = OpStage("conv", (("out", self.number()), ("kernel", const(1))))
            self.pipe([sources[-1]], [base], [conv])
        grid, labels = self.variable(), self.chance(80)
        self.say(f"{grid} = [{', '.join(sources)}]")
        self.do(lambda env: env.__setitem__(grid, [env[source] for source in sources]))
        self._row(grid, self._layer(labels), self.one_of(1, 3, 4))
        if self.chance(50):
            self._row(grid, self._layer(labels, dropped=1), 1)
        targets = [self.variable() for _ in self.env[grid]]
        self.say(f"{', '.join(targets)} = {grid if len(targets) > 1 else f'{grid}[0]'}")
        self.do(lambda env: env.update(zip(targets, env[grid], strict=True)))
        self.read(*sources)
        self.bind(*targets)

    def _layer(self, labels: bool, dropped: int = 0) -> Layer:
        block = Layer(self.block_name(), ("*xs",), True, [("width", None)])
        block.kernel, block.dropped = self.one_of(1, 3), dropped
        block.write(labels=labels)
        self.writer.blocks.append(block)
        return block

    def _row(self, grid: str, block: Layer, count: int) -> None:
        """`count` layers of one block, in a loop."""
        width, prefix, variable = self.number(), self.prefix(), self.one_of("i", "l", "index")
        if variable in self.names:
            raise Unfit("taken")
        label = f'"{prefix}{{{variable}}}": ' if self.chance(80) else ""
        self.say(f"for {variable} in range({count}) {{")
        self.say(f"    {grid} = {grid} -> {label}{block.name}({width.text})")
        self.say("}")

        def step(env: Env) -> None:
            for _ in range(count):
                env[grid] = block.apply({"width": width.value(env)}, env[grid])

        self.do(step)

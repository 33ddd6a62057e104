"""Statements that apply a net, a block that applies itself, or an imported block."""

from collections.abc import Sequence
from dataclasses import dataclass

from archc.ops.registry import OPS
from archc.ops.size import Size
from archc.testing.applications import Applications
from archc.testing.blocks import Block, BlockStage
from archc.testing.stages import Env, Num, OpStage, Unfit, Val, const, infer

LIBRARY = "blocks/dense"


@dataclass
class InnerNet(Block):
    """A net that is a block of another one; it takes the shape that it declares."""

    shape: tuple[int | Size, ...] = ()

    def apply(self, arguments: Env, operands: Sequence[Val]) -> list[Val]:
        if any(operand.type.shape != self.shape for operand in operands):
            raise Unfit("another shape")
        return super().apply(arguments, operands)

    @property
    def text(self) -> str:
        words = [f"{name}={default.text}" for name, default in self.parameters if default]
        shape = f"[{', '.join(map(str, self.shape))}]"
        inputs = ", ".join(f"{name}: {shape}" for name in self.inputs)
        return "\n".join([f"net {self.name}({', '.join(words)})({inputs}) {{", *self.lines, "}"])


@dataclass
class Nested(Block):
    """A block that applies itself, `n` deep; it may join its input to what comes out."""

    kernel: int = 1
    joins: bool = False

    def apply(self, arguments: Env, operands: Sequence[Val]) -> list[Val]:
        (x,) = operands
        n = arguments["n"]
        if not n:
            return [x]
        conv = OpStage("conv", (("out", const(x.channels)), ("kernel", const(self.kernel))))
        inner = self.apply({"n": n - 1}, conv.run({}, [x]))
        return [infer(OPS["concat"](), [x, *inner])] if self.joins else inner

    def write(self, labels: tuple[str, str]) -> None:
        """The body."""
        step, rest = labels
        call = f"y -> {rest}{self.name}(n - 1)"
        self.lines = [
            "    if n == 0 { return x -> relu }",
            f"    y = x -> {step}conv(x.channels, {self.kernel}) -> relu",
            f"    return {f'concat(x, {call})' if self.joins else call}",
        ]


@dataclass
class DenseBlock(Block):
    """The shipped library's."""

    def apply(self, arguments: Env, operands: Sequence[Val]) -> list[Val]:
        (x,) = operands
        growth, bottleneck = arguments["growth"], arguments["bottleneck"]
        for _ in range(arguments["layers"]):
            (wide,) = OpStage("conv", (("out", const(bottleneck * growth)),)).run({}, [x])
            (grown,) = OpStage("conv", (("out", const(growth)),)).run({}, [wide])
            x = infer(OPS["concat"](), [x, grown])
        return [x]


class Parts(Applications):
    """A body that writes these."""

    def inner_net(self) -> None:
        """A net with a parameter of its own, as a block."""
        source = self.tensor()
        x = self.env[source]
        if self.depth or any(isinstance(size, Size) for size in x.type.shape):
            raise Unfit("an inner net's sizes are numbers here")
        net = InnerNet(self.block_name(), (self.one_of("x", "image", "F"),), self.keep)
        net.shape = x.type.shape
        parameter, default = self.one_of("width", "growth", "planes"), self.one_of(2, 3)
        net.parameters = [(parameter, const(default))]
        body = self.inner({parameter: default, net.inputs[0]: x}, keep=self.keep)
        for _ in range(self.one_of(1, 2)):
            body.act()
        self.close(net, body, 1)
        if net.exits:
            raise Unfit("only the outermost net has exits")
        arguments = ((parameter, self.number()),) if self.chance(40) else ()
        stage = BlockStage(net, arguments, self.chance(50))
        self.check(stage, [x], keep=self.keep)
        self.pipe([self.variable()], [source], [stage])

    def nested(self) -> None:
        """A block that applies itself once to three times."""
        source = self.tensor(lambda value: value.rank >= 1)
        if self.depth >= 2:
            raise Unfit("deep enough")
        block = Nested(self.block_name(), ("x",), True, [("n", None)])
        block.kernel, block.joins = self.one_of(1, 3), self.chance(50)
        block.write(("step: ", "rest: ") if self.chance(80) else ("", ""))
        self.writer.blocks.append(block)
        stage = BlockStage(block, (("n", const(self.one_of(1, 2, 3))),), False)
        self.pipe([self.variable()], [source], [stage])

    def imported(self) -> None:
        """A dense block of the shipped library."""
        if "DenseBlock" in self.names:
            raise Unfit("taken")
        source = self.tensor(lambda value: value.rank >= 1)
        names = ("layers", "growth", "bottleneck")
        block = DenseBlock("DenseBlock", ("x",), True, [(name, None) for name in names])
        numbers: list[Num] = [const(self.one_of(1, 2, 3)), self.number(), const(self.one_of(1, 2))]
        stage = BlockStage(block, tuple(zip(names, numbers, strict=True)), self.chance(30))
        self.pipe([self.target(source)], [source], [stage])

"""Statements that apply one layer several times, and lists of layers."""

from typing import TYPE_CHECKING

from archc.testing.applications import Applications
from archc.testing.stages import Env, MadeStage, Num, OpStage, Unfit, const

if TYPE_CHECKING:
    from archc.testing.blocks import BlockStage, Stage


class Sharing(Applications):
    """A body that writes shared layers."""

    def share_layer(self) -> None:
        """One layer, applied to two tensors, or twice in a row."""
        base = self.tensor()
        x = self.env[base]
        width = Num(f"{base}.channels", lambda env: env[base].channels)
        stage: Stage
        if x.rank and self.chance(45):
            bias = (("bias", const(True)),) if self.chance(30) else ()
            stage = OpStage(
                "conv", (("out", width), ("kernel", const(self.one_of(1, 3))), *bias), True
            )
        elif x.rank == 0 and self.chance(60):
            stage = OpStage("linear", (("out", width),))
        elif self.depth < 2 and self.chance(50):
            stage = self.block_stage([base], 1)
            if stage.block.exits:
                raise Unfit("its exits would have one name")
        elif self.chance(30):
            stage = OpStage("scale", (("init", const(0.5)),))
        else:
            stage = OpStage("bn", (("affine", const(self.one_of(True, False))),))
        shared = self.make(self.layer_variable(), stage)
        others = [n for n in self.tensors() if self.env[n].real == x.real and n != base]
        place = self.one_of("row", "apart", "scope", "apart")
        first = self.variable()
        label = self.quoted(self.label()) if self.chance(25) else None
        if place == "scope":
            around = self.quoted(self.label())
            self.labels.append(set())
            with self.inside(f"scope {around} {{") as steps:
                self.pipe([first], [base], [shared], label=label)
            self.labels.pop()
            self.steps += steps
        else:
            self.pipe([first], [base], [shared], label=label)
        again = first if place == "row" else (self.one_of(*others) if others else base)
        self.pipe([self.target(again)], [again], [shared])

    def layer_list(self) -> None:
        """`heads = [conv(...) for n in range(3)]`, applied one after the other, or side by side."""
        base = self.tensor(lambda value: value.rank >= 1)
        name = self.layer_variable()
        count = self.one_of(2, 3)
        width = Num(f"{base}.channels", lambda env: env[base].channels)
        kernel = const(self.one_of(1, 3))
        stage: OpStage | BlockStage = OpStage("conv", (("out", width), ("kernel", kernel)))
        if self.depth < 2 and self.chance(35):
            stage = self.block_stage([base], 1, keep=True)
        text = stage.text if "(" in stage.text else f"{stage.text}()"
        elements = f"{text} for n_ in range({count})"
        self.say(f"{name} = [{elements if self.chance(60) else ', '.join([text] * count)}]")
        self.do(lambda env: env.__setitem__(name, [stage.made(env) for _ in range(count)]))
        if self.chance(50):
            exits = not isinstance(stage, OpStage) and stage.block.exits
            self._in_a_row(base, name, 1 if exits else self.one_of(1, 1, 2, 3, 4))
        else:
            self._side_by_side(base, name, count)

    def recur(self) -> None:
        """Two layers that read each other's results, again and again."""
        base = self.tensor(lambda value: value.rank >= 1)
        width = Num(f"{base}.channels", lambda env: env[base].channels)
        kernel = const(self.one_of(1, 3))
        conv = OpStage("conv", (("out", width), ("kernel", kernel)))
        f, g = (self.make(self.layer_variable(), conv) for _ in range(2))
        a, b = self.variable(), self.variable()
        old = f"{a}_old"
        turn = self.one_of(
            (f"{a} = ({b} -> {f.text}) + {a}", f"{b} = {a} -> {g.text} -> relu"),
            (f"{b} = ({a} -> {g.text}) - {base}", f"{a} = {b} -> {f.text} -> tanh"),
            (f"{old} = {a}", f"{a} = {b} -> {f.text} -> tanh", f"{b} = {old} -> {g.text}"),
            (f"{old} = {b}", f"{b} = ({a} -> {g.text}) * {base}", f"{a} = {old} -> {f.text}"),
        )
        self.say(f"{a} = {base}")
        self.say(f"{b} = {base} -> tanh")
        self.say(f"for turn_ in range({self.one_of(2, 3, 4)}) {{")
        for line in turn:
            self.say(f"    {line}")
        self.say("}")

        def step(env: Env) -> None:
            (env[a],) = f.run(env, [env[base]])
            (env[b],) = g.run(env, [env[base]])

        self.read(base)
        self.do(step)
        self.bind(a, b)

    def _in_a_row(self, base: str, name: str, turns: int) -> None:
        target = self.target(base)
        if target != base:
            self.say(f"{target} = {base}")
        row = f"for head_ in {name} {{ {target} = {target} -> head_ }}"
        self.say(row if turns == 1 else f"for turn_ in range({turns}) {{ {row} }}")

        def step(env: Env) -> None:
            value = env[base]
            for made in env[name] * turns:
                (value,) = made([value])
            env[target] = value

        self.read(base)
        self.do(step)
        self.bind(target)

    def _side_by_side(self, base: str, name: str, count: int) -> None:
        """In any order; perhaps not all of them."""
        order = list(range(count))
        if self.chance(20):
            order.reverse()
        if self.chance(15):
            order = order[1:]
        targets = []
        for index in order:
            targets.append(self.variable())
            self.pipe([targets[-1]], [base], [_element(name, index)])
        self.join(self.variable(), f"concat({', '.join(targets)})", "concat", targets)


def _element(name: str, index: int) -> MadeStage:
    return MadeStage(Num(f"{name}[{index}]", lambda env: env[name][index]))

"""Statements of dense networks: features that grow, what stands between them, and stems."""

from collections.abc import Sequence

from archc.ops.registry import OPS
from archc.testing.applications import Applications
from archc.testing.blocks import Block, BlockStage, Stage
from archc.testing.body import whole
from archc.testing.operators import STAGES, Situation
from archc.testing.stages import Env, Num, OpStage, Unfit, Val, const, infer

BN_RELU = (OpStage("bn"), OpStage("relu"))


class Dense(Applications):
    """A body that writes dense blocks, and growing features that something else reads."""

    def dense_block(self) -> None:
        """A scope in which each layer reads all features before it, and what follows it."""
        if len(self.labels) > 2:
            raise Unfit("deep enough")
        if self.chance(30):
            self.attempt(self.stem)
        base = self.tensor(lambda value: value.rank >= 1)
        target = self.variable()
        label, outer = self.label(), self.steps
        self.labels.append(set())
        with self.inside(f"scope {self.quoted(label)} {{") as steps:
            kind = self.one_of("written out", "loop", "list")
            if kind == "written out":
                self._layers_written_out(base, target)
            elif kind == "loop":
                self._layers_in_a_loop(base, target)
            else:
                self._layers_in_a_list(base, target, BN_RELU)
        self.labels.pop()
        outer += steps
        if self.chance(65):
            self.attempt(lambda: self._transition(target))

    def growing(self) -> None:
        """Features that grow, which something else than a dense block's layers reads."""
        base = self.tensor(lambda value: value.rank >= 1)
        before = self.one_of((), (), BN_RELU[:1], BN_RELU, (OpStage("bn"), OpStage("silu")))
        self._layers_in_a_list(base, self.variable(), before)

    def stem(self) -> None:
        """Convolution, norm, ReLU and pool."""
        source = self.tensor(lambda value: value.rank >= 1)
        conv = OpStage("conv", (("out", self.number(source)), ("kernel", const(3))))
        pool = self._drawn(self.one_of("max_pool", "avg_pool"), self.env[source], self.keep)
        self.pipe([self.target(source)], [source], [conv, *BN_RELU, pool])

    def _transition(self, source: str) -> None:
        """Norm and ReLU, perhaps a pointwise convolution, perhaps an average pool."""
        half = Num(f"{source}.channels // 2", lambda env: env[source].channels // 2)
        stages: list[Stage] = [self._drawn("bn", self.env[source]), OpStage("relu")]
        if self.chance(75):
            stages.append(OpStage("conv", (("out", half), ("kernel", const(1)))))
            stages += self._dropout()
        target = self.target(source)
        self.pipe([target], [source], stages)
        if not self.keep and self.chance(85):
            label = self.quoted(self.label()) if self.chance(50) else None
            pool = OpStage(self.one_of("avg_pool", "avg_pool", "max_pool"), (("kernel", const(2)),))
            self.pipe([target], [target], [pool], label=label)

    def _drawn(self, name: str, x: Val, keep: bool = True) -> OpStage:
        """This operator, with hyperparameters that suit the tensor."""
        width = const(self.one_of(1, 2, 3, 4))
        return STAGES[name](Situation(self.writer.draw, x, keep, lambda: width))

    # ------------------------------------------------------------- the layers of a dense block

    def _layers_written_out(self, base: str, target: str) -> None:
        """Each of its own kind; they join all features, or add their own to the last."""
        adds, features = self.chance(50), [base]
        for _ in range(self.one_of(2, 3)):
            source = base if len(features) == 1 else target
            stages = self._reader(self.env[source])
            if self.chance(40):
                x = self.env[source]
                for stage in stages:
                    (x,) = stage.run(self.env, [x])
                stages += self._reader(x)
            features.append(self.variable())
            self.pipe([features[-1]], [source], stages)
            joined = [source, features[-1]] if adds else list(features)
            if self.chance(3):
                joined.reverse()
            words = ", ".join(joined)
            text = self.one_of(f"concat({words})", f"({words}) -> concat", f"[{words}] -> concat")
            self.join(target, text, "concat", joined)

    def _reader(self, x: Val) -> list[Stage]:
        """Norm, ReLU (seldom another function), convolution and perhaps dropout."""
        act = OpStage(self.one_of("silu", "tanh") if self.chance(4) else "relu")
        return [self._drawn("bn", x), act, self._drawn("conv", x), *self._dropout()]

    def _dropout(self) -> list[Stage]:
        """One in some layers: all of a block must be dense for it to be met there."""
        rate = const(self.one_of(0.5, 0.25))
        return [OpStage("dropout", (("rate", rate),))] if self.chance(50) else []

    def _layers_in_a_loop(self, base: str, target: str) -> None:
        """One block, which appends to its features, with a growth that may vary."""
        if self.depth >= 2:
            raise Unfit("deep enough")
        variable = self._free(("i", "s", "index"), target)
        block = self._layer_block(self.env[base])
        growth = self._growth(variable)
        stage = BlockStage(block, (("growth", growth),), self.chance(30))
        label = f'"{self.prefix()}{{{variable}}}": ' if self.chance(85) else ""
        count = self.one_of(2, 3, 4)
        self.say(f"{target} = {base}")
        self.say(f"for {variable} in range({count}) {{")
        self.say(f"    {target} = {target} -> {label}{stage.text}")
        self.say("}")

        def step(env: Env) -> None:
            values = [env[base]]
            for i in range(count):
                values = stage.run({**env, variable: i}, values)
            (env[target],) = values

        self.read(base)
        self.do(step)
        self.bind(target)

    def _layer_block(self, x: Val) -> Block:
        """A layer of a dense block, with a bottleneck or without."""
        block = Block(self.block_name(), ("x",), True, [("growth", const(2))])
        body = self.inner({"x": x, "growth": 2}, keep=True)
        growth = Num("growth", lambda env: whole(env, "growth"))
        twice = Num("2 * growth", lambda env: 2 * whole(env, "growth"))
        kernel = const(self.one_of(1, 3))
        stages: list[Stage] = [*BN_RELU]
        if self.chance(50):
            stages += [OpStage("conv", (("out", twice),)), *self._dropout(), *BN_RELU]
        stages += [OpStage("conv", (("out", growth), ("kernel", kernel))), *self._dropout()]
        body.pipe(["y"], ["x"], stages)
        body.join("x", "concat(x, y)", "concat", ["x", "y"])
        body.say("return x")
        block.lines, block.steps, block.results = body.lines, body.steps, ("x",)
        self.writer.blocks.append(block)
        return block

    def _layers_in_a_list(self, base: str, target: str, before: Sequence[OpStage]) -> None:
        """A list that grows; each layer is a convolution of all of it, with operators before."""
        name, variable, prefix = self.variable(), self._free(("i",), target), self.prefix()
        growth, count = self._growth(variable), self.one_of(2, 3)
        conv = OpStage("conv", (("out", growth), ("kernel", const(self.one_of(1, 3)))))
        texts = [stage.text for stage in (*before, conv)]
        if self.chance(80):
            texts[-1] = f'"{prefix}{{{variable}}}": {conv.text}'
            if before and self.chance(80):
                texts[0] = f'"{prefix}n{{{variable}}}": {before[0].text}'
        self.say(f"{name} = [{base}]")
        with self.inside(f"for {variable} in range({count}) {{"):
            self.say(f"{name} += [{' -> '.join([name, 'concat', *texts])}]")
        self.say(f"{target} = concat({name})")

        def step(env: Env) -> None:
            values = [env[base]]
            for i in range(count):
                features = infer(OPS["concat"](), values)
                values += conv.run({**env, variable: i}, [features])
            env[target] = infer(OPS["concat"](), values)

        self.read(base)
        self.do(step)
        self.bind(target)

    def _growth(self, variable: str) -> Num:
        """A width, or one for each turn of a loop over numbers below 4."""
        if self.chance(50):
            return self.number()
        widths = [self.one_of(1, 2, 3, 4) for _ in range(4)]
        if self.chance(50):
            return Num(f"{widths}[{variable}]", lambda env: widths[env[variable]])
        return Num(f"{variable} + 2", lambda env: env[variable] + 2)

    def _free(self, names: Sequence[str], target: str) -> str:
        """A name for the variable of a loop."""
        name: str = self.one_of(*names)
        if name in (*self.env, *self.names, target):
            raise Unfit("taken")
        return name

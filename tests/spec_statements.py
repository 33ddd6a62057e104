"""The statements of generated specs beyond plain chains: joins, sharing, loops, scopes, blocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spec_body import (
    AWKWARD,
    AWKWARD_BLOCKS,
    AWKWARD_HYPERS,
    BLOCKS,
    HYPERS,
    Block,
    BlockStage,
    Body,
    Stage,
    whole,
)
from spec_stages import (
    STAGES,
    Env,
    Made,
    MadeStage,
    Num,
    OpStage,
    Situation,
    Unfit,
    Val,
    const,
    infer,
)

from archc.ops.op import TensorType
from archc.ops.registry import OPS

SIGNS = {"add": "+", "sub": "-", "mul": "*"}
FOLDS = ("sum", "min", "max")
RARE = [
    *("pixel_shuffle", "pixel_shuffle", "space_to_depth", "space_to_depth", "channel_shuffle"),
    *("avg_pool", "max_pool", "adaptive_avg_pool", "global_max_pool", "upsample", "flatten"),
    *("conv_transpose", "instance_norm", "reshape", "softmax", "take", "pad"),
]


class Statements(Body):
    """A body that can write every statement of the language."""

    def act(self, *, inner: bool = False) -> None:
        """Some action that goes through."""
        actions = [
            *(self.chain, self.concat, self.concat, self.arithmetic, self.residual, self.fold),
            *(self.particular, self.particular, self.computed_weight, self.learned, self.dense),
            *(self.loop, self.loop, self.condition, self.layer_list, self.numbered_scope),
            *(self.share_layer, self.share_layer, self.apply, self.apply, self.scope, self.exit),
            self.layer_argument,
        ]
        if inner:
            actions.remove(self.layer_argument)
        for _ in range(4):
            if self.attempt(self.one_of(*actions)):
                return
        self.attempt(self.chain)

    def concat(self) -> None:
        """Of three or more, made for it where there are too few."""
        base = self.tensor()
        shape = self.env[base].type.spatial
        fits = self.tensors(lambda value: value.type.spatial == shape)
        wanted = self.one_of(3, 3, 4, 2)
        sources = fits[-wanted:]
        while len(sources) < wanted:
            target = self.variable()
            keep, self.keep = self.keep, True
            try:
                self.pipe([target], [base], self.stages(base, 1, 2))
            finally:
                self.keep = keep
            sources.append(target)
        if self.chance(10):
            sources.append(sources[0])
        target = self.target(sources[0])
        args = ", ".join(sources)
        text = self.one_of(f"concat({args})", f"({args}) -> concat", f"[{args}] -> concat")
        self.join(target, text, "concat", sources)

    def show(self, name: str) -> None:
        """A statement with this operator."""
        actions: dict[str, Callable[[], None]] = {
            **{op: lambda op=op: self.arithmetic(op) for op in SIGNS},  # type: ignore[misc]
            **{op: lambda op=op: self.fold(op) for op in FOLDS},  # type: ignore[misc]
            "concat": self.concat,
            "apply_conv": self.computed_weight,
            "param": self.learned,
            "drop_path": self.residual,
        }
        action = actions.get(name, lambda: self.particular(name))
        for _ in range(20):
            if self.attempt(action):
                return

    def arithmetic(self, op: str | None = None) -> None:
        """A sum, difference or product of a tensor with another, with a branch of it, or a gate."""
        base = self.tensor()
        x = self.env[base]
        kind = self.one_of("other", "branch", "triple", *([] if op in ("add", "sub") else ["gate"]))
        op = op or self.one_of(*SIGNS)
        same = [n for n in self.tensors() if self.env[n].type == x.type and n != base]
        if kind == "gate" and x.rank and not self.keep:
            other = self.variable()
            gate = OpStage("global_avg_pool", (("keep", const(True)),))
            out = Num(f"{base}.channels", lambda env: env[base].channels)
            self.pipe([other], [base], [gate, OpStage("conv", (("out", out),)), OpStage("sigmoid")])
            op = "mul"
        elif kind == "other" and same:
            other = self.one_of(*same)
        else:
            other = self.variable()
            self.pipe([other], [base], [OpStage(self.one_of("relu", "sigmoid", "bn", "identity"))])
        infer(OPS[op](), [self.env[base], self.env[other]])
        target, sign = self.target(base), SIGNS[op]
        text = self.one_of(f"{base} {sign} {other}", f"{op}({base}, {other})")
        if kind == "triple" and self.env[base].type == self.env[other].type:
            third = self.one_of("+", "-", "*")
            text = self.one_of(
                f"{base} {sign} {other} {third} {base}",
                f"({base} {sign} {other}) {third} {base}",
                f"{base} {sign} ({other} {third} {base})",
                f"({base} {sign} {other}) -> relu",
            )
        self.join(target, text, op, [base, other])

    def particular(self, name: str | None = None) -> None:
        """This operator, or one that chance alone seldom finds an input for."""
        name = name or self.one_of(*RARE)
        source = self.tensor()
        rank = self.env[source].rank
        even = all(isinstance(n, int) and n % 2 == 0 for n in self.env[source].real.spatial)
        before = {
            "pixel_shuffle": OpStage("conv", (("out", const(4 * self.one_of(1, 2))),)),
            "space_to_depth": None if even else OpStage("upsample", (("scale", const(2)),)),
            "linear": OpStage("global_avg_pool") if rank else None,
        }.get(name)
        if before and self.keep:
            raise Unfit("other sizes")
        stages = [before] if before else []
        x = infer(before.op(self.env), [self.env[source]]) if before else self.env[source]
        situation = Situation(self.writer.draw, x, self.keep, lambda: self.number(source))
        stages.append(STAGES[name](situation))
        self.pipe([self.target(source)], [source], stages)

    def fold(self, op: str | None = None) -> None:
        """The sum, the least or the greatest of some tensors of one type."""
        base = self.tensor()
        x = self.env[base]
        op = op or self.one_of(*FOLDS)
        same = [n for n in self.tensors() if self.env[n].type == x.type and n != base]
        others = same[: self.one_of(0, 1, 2, 3)]
        if not others:
            others = [self.variable()]
            self.pipe(others, [base], [OpStage(self.one_of("relu", "tanh", "silu"))])
        sources = [base, *others]
        args = ", ".join(sources)
        text = self.one_of(f"{op}({args})", f"{op}([{args}])", f"({args}) -> {op}")
        self.join(self.target(base), text, op, sources)

    def computed_weight(self) -> None:
        """A convolution with a learned tensor, as it is or made binary (XNOR-Net)."""
        base = self.tensor(lambda value: value.rank >= 1)
        x = self.env[base]
        shape = [self.one_of(1, 2, 4), x.channels, *(self.one_of(1, 3) for _ in range(x.rank))]
        name, target = self.layer_variable(), self.target(base)
        self.say(f'{name} = param({shape}, "normal")')
        weight = self.one_of(
            name, f"({name} -> sign_ste) * ({name} -> abs_mean)", f"{name} -> sign_ste"
        )
        stride = "" if self.keep or self.chance(70) else "stride=2"
        if "->" in weight and self.chance(50):
            binary = self.variable()
            self.say(f"{binary} = {weight}")
            weight = binary
        elif "->" in weight:
            weight = f"({weight})"
        after = f", {stride}" if stride else ""
        call = f"({base}, {weight}) -> apply_conv({stride})"
        self.say(f"{target} = {self.one_of(call, f'apply_conv({base}, {weight}{after})')}")
        op = OPS["apply_conv"](**({"stride": 2} if stride else {}))
        type_ = TensorType(tuple(shape), batched=False)
        self.read(base)
        self.do(lambda env: env.__setitem__(target, infer(op, [env[base], Val(type_, type_)])))
        self.bind(target)

    def residual(self) -> None:
        """`x + (x -> ... -> drop_path(...))`: the branch ends where it began."""
        base = self.tensor(lambda value: value.rank >= 1)
        channels = Num(f"{base}.channels", lambda env: env[base].channels)
        kernel = const(self.one_of(1, 3))
        stages = [OpStage("conv", (("out", channels), ("kernel", kernel))), OpStage("bn")]
        if self.chance(40):
            stages = stages[self.one_of(1, 2) :]
        texts = [self.labelled(stage, [self.env[base]]) for stage in stages]
        survival = self.one_of(0.5, 0.8, 1.0)
        drop = self.one_of(f"drop_path({survival})", f"drop_path(survival={survival})")
        target = self.variable() if self.chance(60) else base
        branch = " -> ".join([base, *texts, drop])
        if self.chance(60):
            first, second = self.one_of((base, f"({branch})"), (f"({branch})", base))
            self.join(target, f"{first} + {second}", "add", [base, base])
        else:
            name = self.variable()
            self.say(f"{name} = {branch}")
            self.join(
                target, self.one_of(f"{name} + {base}", f"{base} + {name}"), "add", [base, base]
            )

    def learned(self) -> None:
        """A learned tensor, added or multiplied."""
        base = self.tensor()
        x = self.env[base]
        whole = all(isinstance(size, int) for size in x.type.shape) and self.net and self.chance(30)
        shape = x.real.shape if whole else (self.one_of(x.channels, 1), *(1,) * x.rank)
        init = self.one_of("zeros", "ones", "normal")
        channels = [f"{base}.channels", *map(str, shape[1:])] if self.chance(40) else []
        named = bool(channels) and shape[0] == x.channels
        words = f"[{', '.join(channels if named else map(str, shape))}]"
        call = (
            f'param({words}, "{init}")' if init != "zeros" or self.chance(20) else f"param({words})"
        )
        sign, op = self.one_of(("+", "add"), ("-", "sub"), ("*", "mul"))
        target = self.target(base)
        text = call
        if self.chance(60):
            text = self.layer_variable()
            self.say(f"{text} = {call}")
            if self.chance(30):
                call = f"({text} -> {self.one_of('relu', 'sigmoid', 'identity', 'stop_gradient')})"
                text = call
        text = self.one_of(f"{base} {sign} {text}", f"{text} {sign} {base}")
        self.say(f"{target} = {text}")
        made = OPS[op]()

        def step(env: Env) -> None:
            first = env[base].channels if named else shape[0]
            g = TensorType((first, *shape[1:]), batched=False)
            env[target] = infer(made, [env[base], Val(g, g)])

        self.read(base)
        self.do(step)
        self.bind(target)

    def share_layer(self) -> None:
        """One layer, applied to two tensors, or twice in a row."""
        base = self.tensor()
        x = self.env[base]
        width = Num(f"{base}.channels", lambda env: env[base].channels)
        stage: Stage
        if x.rank and self.chance(60):
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

    def make(self, name: str, stage: OpStage | BlockStage) -> MadeStage:
        """`name = stage`, a layer to be applied later."""
        text = stage.text
        if "(" not in text:
            text += "()"
        self.say(f"{name} = {text}")

        def step(env: Env) -> None:
            env[name] = stage.made(env)

        self.do(step)
        return MadeStage(Num(name, lambda env: env[name]))

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
            self._in_a_row(base, name)
        else:
            self._side_by_side(base, name, count)

    def _in_a_row(self, base: str, name: str) -> None:
        target = self.target(base)
        if target != base:
            self.say(f"{target} = {base}")
        self.say(f"for head_ in {name} {{ {target} = {target} -> head_ }}")

        def step(env: Env) -> None:
            value = env[base]
            for made in env[name]:
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
            number = Num(f"{name}[{index}]", lambda env, index=index: env[name][index])
            self.pipe([targets[-1]], [base], [MadeStage(number)])
        self.join(self.variable(), f"concat({', '.join(targets)})", "concat", targets)

    def scope(self) -> None:
        if len(self.labels) > 2:
            raise Unfit("deep enough")
        label = self.label()
        outer = self.steps
        self.labels.append(set())
        saved = self.functional_exit
        with self.inside(f"scope {self.quoted(label)} {{") as steps:
            for _ in range(self.one_of(1, 2, 3)):
                self.act(inner=True)
            if not steps:
                self.chain()
        self.functional_exit = saved
        self.labels.pop()
        outer += steps

    def numbered_scope(self) -> None:
        """A scope of layers called 0, 1, 2: an nn.Sequential."""
        source = self.tensor()
        target = self.target(source)
        label = self.label()
        stages = self.stages(source, 1, 4)
        texts: list[str] = []
        x = self.env[source]
        for stage in stages:
            assert isinstance(stage, OpStage)
            whole = stage.op(self.env).module(x.real) is not None
            texts.append(f'"{len(texts)}": {stage.text}' if whole else stage.text)
            (x,) = stage.run(self.env, [x])
        with self.inside(f"scope {self.quoted(label)} {{"):
            pass
        self.lines.pop()
        pad = "    " * (self.indent + 1)
        self.lines.append(f"{pad}{target} = {' -> '.join([source, *texts])}")
        self.say("}")

        def step(env: Env) -> None:
            values = [env[source]]
            for stage in stages:
                values = stage.run(env, values)
            (env[target],) = values

        self.read(source)
        self.do(step)
        self.bind(target)

    def loop(self) -> None:
        """Layers, or applications of one block, in a row, with numbered labels or without."""
        base = self.tensor()
        count = self.one_of(2, 3, 4)
        start = self.one_of(0, 1, 1)
        variable = self.one_of("i", "s", "index")
        target = self.target(base)
        if variable in (*self.env, target):
            raise Unfit("taken")
        if target != base:
            self.say(f"{target} = {base}")
            self.do(lambda env: env.__setitem__(target, env[base]))
            self.read(base)
        prefix = self.prefix()
        stage, extra = self._looped(target, variable, start + count)
        weighty = isinstance(stage, BlockStage) or stage.name in ("conv", "bn", "linear")
        label = f'"{prefix}{{{variable}}}": ' if weighty and self.chance(80) else ""
        pieces = [f"{label}{stage.text}"]
        pieces += [piece.text for piece in extra]
        odd = self.chance(20)
        text = f"{target} = {target} -> {' -> '.join(pieces)}"
        bounds = f"{start}, {start + count}" if start or self.chance(20) else f"{count}"
        self.say(f"for {variable} in range({bounds}) {{")
        rest = f"else {{ {target} = {target} -> relu }}"
        self.say(f"    if {variable} % 2 == 1 {{ {text} }} {rest}" if odd else f"    {text}")
        self.say("}")

        def step(env: Env) -> None:
            for i in range(start, start + count):
                env[variable] = i
                values = [env[target]]
                if not odd or i % 2:
                    for each in [stage, *extra]:
                        values = each.run(env, values)
                (env[target],) = values
            del env[variable]

        self.do(step)
        self.bind(target)

    def _looped(
        self, target: str, variable: str, stop: int
    ) -> tuple[OpStage | BlockStage, list[OpStage]]:
        """What a loop applies: a block, perhaps with an argument that varies, or operators."""
        if self.depth < 2 and self.chance(75):
            block = self.block_stage([target], 1, keep=True)
            ints = [name for name, value in block.args if type(value.value(self.env)) is int]
            if ints and self.chance(35):
                widths = [self.one_of(2, 3, 4, 6) for _ in range(stop)]
                block = self._varied(block, self.one_of(*ints), variable, widths)
            return block, []
        stage = self.stage(self.env[target], target, keep=True)
        (x,) = stage.run(self.env, [self.env[target]])
        return stage, [self.stage(x, target, keep=True)] if self.chance(50) else []

    def _varied(
        self, stage: "BlockStage", name: str, variable: str, widths: list[int]
    ) -> "BlockStage":
        """The same block with an argument that depends on the loop."""
        by_list = self.chance(50)
        text = f"{widths}[{variable}]" if by_list else f"{variable} + 2"

        def value(env: Env) -> int:
            return widths[env[variable]] if by_list else env[variable] + 2

        args = tuple((n, Num(text, value) if n == name else v) for n, v in stage.args)
        return BlockStage(stage.block, args, stage.keywords)

    def dense(self) -> None:
        """A list of features that grows; each layer reads all of them."""
        base = self.tensor(lambda value: value.rank >= 1)
        name, target, prefix = self.variable(), self.variable(), self.prefix()
        count = self.one_of(2, 3)
        growth = self.number()
        stage = OpStage("conv", (("out", growth), ("kernel", const(self.one_of(1, 3)))))
        label = f'"{prefix}{{i}}": ' if self.chance(80) else ""
        self.say(f"{name} = [{base}]")
        with self.inside(f"for i in range({count}) {{"):
            norm = f'"{prefix}n{{i}}": bn -> ' if label and self.chance(50) else ""
            self.say(f"{name} += [{name} -> concat -> {norm}{label}{stage.text}]")
        self.say(f"{target} = concat({name})")

        def step(env: Env) -> None:
            values = [env[base]]
            for i in range(count):
                env["i"] = i
                values += stage.run(env, [infer(OPS["concat"](), values)])
            env.pop("i")
            env[target] = infer(OPS["concat"](), values)

        if "i" in (*self.env, name, target):
            raise Unfit("taken")
        self.read(base)
        self.do(step)
        self.bind(target)

    def condition(self) -> None:
        flags = [n for n, v in self.env.items() if isinstance(v, bool)]
        widths = [n for n, v in self.env.items() if type(v) is int]
        source = self.tensor()
        if flags and self.chance(50):
            name = self.one_of(*flags)
            test = Num(name, lambda env: bool(env[name]))
        elif widths and self.chance(60):
            name, bound = self.one_of(*widths), self.one_of(2, 4, 6)
            test = Num(f"{name} > {bound}", lambda env: whole(env, name) > bound)
        else:
            bound = self.one_of(2, 4, 6)
            test = Num(f"{source}.channels <= {bound}", lambda env: env[source].channels <= bound)
        target = self.variable()
        yes, no = self.stages(source, 1, 2), self.stages(source, 1, 2)
        if self.chance(30):
            yes, no = yes[:1], no[:1]
            text = f"{source} -> ({yes[0].text} if {test.text} else {no[0].text})"
            self.say(f"{target} = {text}")
        else:
            taken = yes if test.value(self.env) else no
            for head, stages in ((f"if {test.text} {{", yes), ("} else {", no)):
                self.say(head)
                texts, values = [], [self.env[source]]
                for stage in stages:
                    texts.append(self.labelled(stage, values))
                    values = stage.run(self.env, values)
                self.say(f"    {target} = {' -> '.join([source, *texts])}")
            self.say("}")
            assert taken

        def step(env: Env) -> None:
            values = [env[source]]
            for stage in yes if test.value(env) else no:
                values = stage.run(env, values)
            (env[target],) = values

        self.read(source)
        self.do(step)
        self.bind(target)

    def exit(self) -> None:
        """An early exit of the net; never of what was applied already under another name."""
        source = self.tensor()
        keep, self.keep = self.keep, False
        try:
            x = self.env[source]
            linear = OpStage("linear", (("out", const(self.one_of(2, 3, 5))),))
            pool = [OpStage("global_avg_pool")] if x.rank else []
        finally:
            self.keep = keep
        if self.net and len(self.labels) == 1 and self.chance(20):
            self.say(f"exit {source} -> {(pool or [OpStage('relu')])[0].text}")
        else:
            label = self.label()
            text = " -> ".join(
                [source, *(p.text for p in pool), f"{self.quoted(label)}: {linear.text}"]
            )
            own = f"{self.quoted(self.label())}: " if self.net and self.chance(50) else ""
            self.say(f"exit {own}{text}")
        self.exits = True
        self.read(source)

    def apply(self) -> None:
        """A block, with one or two tensors and one to three results."""
        if self.depth >= 2:
            raise Unfit("deep enough")
        sources = [self.tensor()]
        if self.chance(35):
            sources.append(self.tensor())
        stage = self.block_stage(sources, self.one_of(1, 1, 2, 3))
        results = len(stage.block.results)
        self.pipe([self.variable() for _ in range(results)], sources, [stage])

    def layer_argument(self) -> None:
        """A layer, or its constructor, handed to a block that applies it."""
        if self.depth >= 2:
            raise Unfit("deep enough")
        base = self.tensor(lambda value: value.rank >= 1)
        inner = self._inner(base)
        kind = self.one_of("made", "inline", "twice", "constructor")
        given: Made | OpStage = inner.made(self.env)
        if kind == "constructor":
            given = OpStage("conv", (("out", const(self.env[base].channels)),))
        block = self._applying(self.env[base], given)
        ((parameter, _),) = block.parameters
        if kind == "constructor":
            argument = Num("conv", lambda _: None)
        elif kind == "inline":
            text = inner.text if "(" in inner.text else f"{inner.text}()"
            argument = Num(text, inner.made)
        else:
            argument = self.make(self.layer_variable(), inner).number
        stage = BlockStage(block, ((parameter, argument),), self.chance(30))
        self.pipe([self.variable()], [base], [stage])
        if kind == "twice":
            again = MadeStage(argument) if self.chance(50) else stage
            self.pipe([self.variable()], [base], [again])

    def _inner(self, base: str) -> OpStage | BlockStage:
        """What keeps the type of a tensor, and has no exits, for these would have one name."""
        if self.chance(25) and self.depth < 1:
            stage = self.block_stage([base], 1, keep=True)
            if stage.block.exits:
                raise Unfit("exits")
            return stage
        width = Num(f"{base}.channels", lambda env: env[base].channels)
        return OpStage("conv", (("out", width), ("kernel", const(self.one_of(1, 3)))))

    def _applying(self, x: Val, given: Made | OpStage) -> Block:
        """A block that applies the layer, or the constructor, that it is given."""
        parameter = self.one_of("act", "part", "fn", "module", "layer", "self")
        block = Block(self.block_name(), (self.one_of("x", "t", "image", "F"),), True)
        block.parameters = [(parameter, None)]
        env: Env = {block.inputs[0]: x, parameter: given}
        body = Statements(self.writer, env, keep=True, depth=self.depth + 1, net=False)
        call: Stage = MadeStage(Num(parameter, lambda env: env[parameter]))
        if isinstance(given, OpStage):
            call = _Constructed(parameter, block.inputs[0])
        if self.chance(50):
            body.chain()
        source = body.tensor(lambda value: value.real == x.real)
        body.pipe([body.target(source)], [source], [call])
        if self.chance(40):
            body.act()
        self.close(block, body, 1)
        return block

    # ------------------------------------------------------------- blocks

    def block_name(self) -> str:
        name = self.writer.pick(BLOCKS, AWKWARD_BLOCKS, self.writer.names | self.names)
        self.writer.names.add(name)
        return name

    def block_stage(
        self, sources: Sequence[str], results: int, *, keep: bool | None = None
    ) -> BlockStage:
        """A block that takes these tensors: one there already, or a new one."""
        keep = self.keep if keep is None else keep
        operands = [self.env[source] for source in sources]
        known = [
            block
            for block in self.writer.blocks
            if len(block.inputs) == len(operands)
            and (block.keep or not keep)
            and (results > 1 or len(block.results) == 1)
            and block.name not in self.names
            and all(default is not None for _, default in block.parameters)
        ]
        if known and self.chance(40):
            block = self.one_of(*known)
            stage = BlockStage(block, self._arguments(block), self.chance(30))
            self.check(stage, operands, keep=keep)
            self.exits |= block.exits
            return stage
        return self.new_block(operands, results, keep=keep)

    def check(self, stage: BlockStage, operands: Sequence[Val], *, keep: bool) -> None:
        values = stage.run(self.env, operands)
        if keep and any(value.real.spatial != operands[0].real.spatial for value in values):
            raise Unfit("other sizes")

    def _arguments(self, block: Block) -> tuple[tuple[str, Num], ...]:
        found = []
        for name, default in block.parameters:
            assert default is not None
            value = default.value(_Anything())
            if self.chance(40):
                continue
            if isinstance(value, bool):
                found.append((name, const(self.one_of(True, False))))
            elif isinstance(value, int):
                found.append((name, self.number()))
        return tuple(found)

    def new_block(self, operands: Sequence[Val], results: int, *, keep: bool) -> BlockStage:
        names = ["x", "a", "b", "image", "t", *(AWKWARD if self.chance(15) else [])]
        inputs: list[str] = []
        for _ in operands:
            inputs.append(self.one_of(*(n for n in names if n not in inputs)))
        block = Block(self.block_name(), tuple(inputs), keep)
        env: Env = {}
        args: list[tuple[str, Num]] = []
        for _ in range(self.one_of(0, 1, 1, 2, 3)):
            taken = {*env, *inputs, *OPS, *self.writer.names}
            name = self.writer.pick(HYPERS, AWKWARD_HYPERS, taken)
            kind = self.one_of("int", "int", "int", "bool", "derived")
            if kind == "derived" and args and type(env[args[0][0]]) is int:
                first = args[0][0]
                default = Num(f"2 * {first}", lambda env, first=first: 2 * whole(env, first))
                block.parameters.append((name, default))
                env[name] = default.value(env)
                continue
            value = const(self.one_of(True, False)) if kind == "bool" else self.number()
            optional = self.chance(60) or (block.parameters and block.parameters[-1][1] is not None)
            default_value = const(self.one_of(True, False) if kind == "bool" else self.one_of(2, 4))
            block.parameters.append((name, default_value if optional else None))
            args.append((name, value))
            env[name] = value.value(self.env)
        env.update(zip(inputs, operands, strict=True))
        body = Statements(self.writer, env, keep=keep, depth=self.depth + 1, net=False)
        for _ in range(self.one_of(1, 2, 2, 3)):
            body.act()
        self.close(block, body, results)
        stage = BlockStage(block, tuple(args), self.chance(30))
        self.check(stage, operands, keep=keep)
        return stage

    def close(self, block: Block, body: Body, results: int) -> None:
        block.results = body.finish(results)
        block.lines, block.steps, block.exits = body.lines, body.steps, body.exits
        self.exits |= body.exits
        self.writer.blocks.append(block)


class _Anything(dict[str, int]):
    """An environment in which every name is a number, to see what a default is."""

    def __missing__(self, name: str) -> int:
        return 1


@dataclass(frozen=True)
class _Constructed:
    """`kind(x.channels)`: the constructor that a block was given, which is `conv`."""

    parameter: str
    source: str

    @property
    def text(self) -> str:
        return f"{self.parameter}({self.source}.channels)"

    def run(self, env: Env, operands: Sequence[Val]) -> list[Val]:
        return OpStage("conv", (("out", const(env[self.source].channels)),)).run(env, operands)

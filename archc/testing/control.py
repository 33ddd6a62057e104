"""Statements with bodies of their own (loops, conditions, scopes), and exits."""

from archc.testing.applications import Applications
from archc.testing.blocks import BlockStage
from archc.testing.body import whole
from archc.testing.stages import Env, Num, OpStage, Unfit, const


class Control(Applications):
    """A body that writes control flow."""

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

    def _varied(self, stage: BlockStage, name: str, variable: str, widths: list[int]) -> BlockStage:
        """The same block with an argument that depends on the loop."""
        by_list = self.chance(50)
        text = f"{widths}[{variable}]" if by_list else f"{variable} + 2"

        def value(env: Env) -> int:
            return widths[env[variable]] if by_list else env[variable] + 2

        args = tuple((n, Num(text, value) if n == name else v) for n, v in stage.args)
        return BlockStage(stage.block, args, stage.keywords)

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

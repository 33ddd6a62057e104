"""Statements that define and apply blocks, and hand layers to them."""

from collections.abc import Sequence

from archc.ops.registry import OPS
from archc.testing.blocks import Block, BlockStage, ConstructedStage, Stage
from archc.testing.body import Body, whole
from archc.testing.names import AWKWARD, AWKWARD_BLOCKS, AWKWARD_HYPERS, BLOCKS, HYPERS
from archc.testing.stages import Env, Made, MadeStage, Num, OpStage, Unfit, Val, const


class Applications(Body):
    """A body that writes blocks."""

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
            argument = Num("conv", lambda env: None)
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
        body = self.inner(env, keep=True)
        call: Stage = MadeStage(Num(parameter, lambda env: env[parameter]))
        if isinstance(given, OpStage):
            call = ConstructedStage(parameter, block.inputs[0])
        if self.chance(50):
            body.chain()
        source = body.tensor(lambda value: value.real == x.real)
        body.pipe([body.target(source)], [source], [call])
        if self.chance(40):
            body.act()
        self.close(block, body, 1)
        return block

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
        names = ["x", "a", "b", "image", "t"]
        if self.chance(15):
            names += [name for name in AWKWARD if name not in OPS]
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
                default = _twice(first)
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
        body = self.inner(env, keep=keep)
        for _ in range(self.one_of(1, 2, 2, 3)):
            body.act()
        self.close(block, body, results)
        stage = BlockStage(block, tuple(args), self.chance(30))
        self.check(stage, operands, keep=keep)
        return stage

    def inner(self, env: Env, *, keep: bool) -> Body:
        """The body of a block that is used here."""
        return type(self)(self.writer, env, keep=keep, depth=self.depth + 1, net=False)

    def close(self, block: Block, body: Body, results: int) -> None:
        block.results = body.finish(results)
        block.lines, block.steps, block.exits = body.lines, body.steps, body.exits
        self.exits |= body.exits
        self.writer.blocks.append(block)


def _twice(name: str) -> Num:
    return Num(f"2 * {name}", lambda env: 2 * whole(env, name))


class _Anything(dict[str, int]):
    """An environment in which every name is a number, to see what a default is."""

    def __missing__(self, name: str) -> int:
        return 1

"""The body of a generated block or net: what it has written, and what its variables are.

A statement is a line of text and a step over an environment; the steps run while drawing, and again
wherever the block is applied with other arguments. What does not fit is undone.
"""

import keyword
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from archc.ops.registry import OPS
from archc.testing.blocks import Block, BlockStage, Stage
from archc.testing.names import AWKWARD, AWKWARD_LABELS, LABELS, VARIABLES
from archc.testing.operators import OFTEN, STAGES, Situation
from archc.testing.stages import Draw, Env, MadeStage, Num, OpStage, Step, Unfit, Val, const, infer

_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass
class Writer:
    """What one file holds so far."""

    draw: Draw
    blocks: list[Block] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def one_of(self, values: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(list(values)))

    def chance(self, percent: int) -> bool:
        # Low numbers are what hypothesis shrinks to: "no".
        return bool(self.draw(st.integers(0, 99)) >= 100 - percent)

    def pick(self, plain: Sequence[str], awkward: Sequence[str], taken: set[str]) -> str:
        pool = awkward if self.chance(20) else plain
        free = [name for name in pool if name not in taken] or [
            f"{name}_{n}" for n in range(2, 9) for name in plain if f"{name}_{n}" not in taken
        ]
        name: str = self.one_of(free)
        return name


Statement = Callable[[], None]


class Body:
    """The statements of one block or net under construction."""

    def __init__(self, writer: Writer, env: Env, *, keep: bool, depth: int, net: bool) -> None:
        self.writer = writer
        self.env = env
        self.keep = keep
        self.depth = depth
        self.net = net
        self.lines: list[str] = []
        self.steps: list[Step] = []
        self.indent = 1
        self.unread = [name for name, value in env.items() if isinstance(value, Val)]
        self.labels: list[set[str]] = [set()]
        self.exits = False
        self.functional_exit = False
        self.names = set(env)

    def act(self, *, inner: bool = False) -> None:
        """Write some statement that goes through."""
        raise NotImplementedError

    # ------------------------------------------------------------ drawing

    def one_of(self, *values: Any) -> Any:
        return self.writer.one_of(values)

    def chance(self, percent: int) -> bool:
        return self.writer.chance(percent)

    def variable(self) -> str:
        taken = self.names | set(OPS) | self.writer.names
        name = self.writer.pick(VARIABLES, AWKWARD, taken)
        self.names.add(name)
        return name

    def layer_variable(self) -> str:
        """A variable that names a layer, so it is also a label."""
        taken = self.names | set(OPS) | self.writer.names | self.labels[-1]
        name = self.writer.pick(
            ["head", "shared", "mix", "gate", "enc", "conv_"], ["F", "nn"], taken
        )
        self.names.add(name)
        self.labels[-1].add(name)
        return name

    def label(self) -> str:
        name = self.writer.pick(LABELS, AWKWARD_LABELS, self.labels[-1])
        self.labels[-1].add(name)
        return name

    def prefix(self) -> str:
        """Of labels that end in a number."""
        taken = {label.rstrip("0123456789") for label in self.labels[-1]}
        name = self.writer.pick(["st", "step_", "blk", "lay"], ["layer", "x", "F_"], taken)
        self.labels[-1] |= {f"{name}{n}{i}" for i in range(12) for n in ("", "n")}
        return name

    def quoted(self, label: str) -> str:
        bare = _NAME.fullmatch(label) and not keyword.iskeyword(label) and not self.chance(15)
        return label if bare else f'"{label}"'

    def tensors(self, where: Callable[[Val], bool] = lambda _: True) -> list[str]:
        """Tensors of the batch, those that nothing has read yet last."""
        found = [
            n for n, v in self.env.items() if isinstance(v, Val) and v.type.batched and where(v)
        ]
        return sorted(found, key=lambda name: name in self.unread)

    def tensor(self, where: Callable[[Val], bool] = lambda _: True) -> str:
        found = self.tensors(where)
        if not found:
            raise Unfit("no tensor")
        name: str = found[-1] if self.chance(60) else self.one_of(*found)
        return name

    def number(self, source: str | None = None) -> Num:
        """A width: a number, or something of a hyperparameter or of a tensor's channels."""
        hypers = [n for n, v in self.env.items() if type(v) is int and v > 0]
        kind = self.one_of("literal", "literal", "hyper", "hyper", "double", "channels", "half")
        if kind in ("hyper", "double") and hypers:
            name = self.one_of(*hypers)
            if kind == "hyper":
                return Num(name, lambda env: whole(env, name))
            return Num(f"2 * {name}", lambda env: 2 * whole(env, name))
        if kind == "channels" and source is not None:
            return Num(f"{source}.channels", lambda env: env[source].channels)
        if kind == "half" and source is not None:
            return Num(f"{source}.channels // 2 + 1", lambda env: env[source].channels // 2 + 1)
        return const(self.one_of(1, 2, 3, 4, 5, 6, 8))

    def stage(self, x: Val, source: str, *, keep: bool | None = None) -> OpStage:
        keep = self.keep if keep is None else keep
        for _ in range(6):
            name = self.one_of(*OFTEN) if self.chance(35) else self.one_of(*STAGES)
            situation = Situation(self.writer.draw, x, keep, lambda: self.number(source))
            try:
                stage = STAGES[name](situation)
                stage.run(self.env, [x])
            except Unfit:
                continue
            return stage
        return OpStage("relu")

    # ------------------------------------------------------------ writing

    def say(self, text: str) -> None:
        self.lines.append("    " * self.indent + text)

    def do(self, step: Step) -> None:
        step(self.env)
        self.steps.append(step)

    def read(self, *names: str) -> None:
        self.unread = [name for name in self.unread if name not in names]

    def bind(self, *names: str) -> None:
        self.names.update(names)
        self.unread = [name for name in self.unread if name not in names] + list(names)

    def attempt(self, action: Statement) -> bool:
        """Whether an action went through; if not, nothing of it stays."""
        saved = (list(self.lines), self.steps, list(self.steps), dict(self.env), list(self.unread))
        blocks, indent, regions = len(self.writer.blocks), self.indent, len(self.labels)
        flags = (self.exits, self.functional_exit)
        try:
            action()
        except Unfit:
            self.lines, self.steps, steps, env, self.unread = saved
            self.steps[:] = steps
            self.env.clear()
            self.env.update(env)
            del self.writer.blocks[blocks:], self.labels[regions:]
            self.indent = indent
            self.exits, self.functional_exit = flags
            return False
        return True

    @contextmanager
    def inside(self, head: str, tail: str = "}") -> Iterator[list[Step]]:
        """Statements between braces, whose steps are collected apart."""
        self.say(head)
        self.indent += 1
        outer, self.steps = self.steps, []
        inner = self.steps
        try:
            yield inner
        finally:
            self.steps = outer
            self.indent -= 1
        self.say(tail)

    def labelled(self, stage: Stage, operands: Sequence[Val], label: str | None = None) -> str:
        """The stage, with a label where it takes one and chance wills."""
        if label is not None:
            return f"{label}: {stage.text}"
        if isinstance(stage, MadeStage):
            return stage.text
        if isinstance(stage, OpStage):
            op = stage.op(self.env)
            types = [operand.real for operand in operands]
            weighty = bool(op.weights(*types))
            if op.module(*types) is None or not self.chance(65 if weighty else 20):
                return stage.text
        elif not self.chance(75):
            return stage.text
        return f"{self.quoted(self.label())}: {stage.text}"

    def pipe(
        self, targets: Sequence[str], sources: Sequence[str], stages: Sequence[Stage], **kw: Any
    ) -> None:
        """`targets = sources -> stages`, run and written."""
        operands = [self.env[source] for source in sources]
        texts = []
        for stage in stages:
            texts.append(self.labelled(stage, operands, **kw))
            operands = stage.run(self.env, operands)
        head = sources[0] if len(sources) == 1 else f"({', '.join(sources)})"
        if len(stages) == 1 and ": " not in texts[0] and self.chance(15):
            made = "()" if isinstance(stages[0], BlockStage) and not stages[0].args else ""
            text = f"{texts[0]}{made}({', '.join(sources)})"
        elif len(texts) > 2:
            pad = "\n" + "    " * self.indent + "      -> "
            text = f"{head} -> {texts[0]}{pad}{pad.join(texts[1:])}"
        else:
            text = " -> ".join([head, *texts])
        self.say(f"{', '.join(targets)} = {text}")

        def step(env: Env) -> None:
            values = [env[source] for source in sources]
            for stage in stages:
                values = stage.run(env, values)
            if len(values) != len(targets):
                raise Unfit("results")
            env.update(zip(targets, values, strict=True))

        self.read(*sources)
        self.do(step)
        self.bind(*targets)

    def target(self, source: str | None = None) -> str:
        """A fresh variable, or the source bound again."""
        return source if source is not None and self.chance(35) else self.variable()

    def stages(self, source: str, low: int = 1, high: int = 3) -> list[Stage]:
        x = self.env[source]
        found: list[Stage] = []
        for _ in range(self.one_of(*range(low, high + 1))):
            stage = self.stage(x, source)
            found.append(stage)
            (x,) = stage.run(self.env, [x])
        return found

    # --------------------------------------------------- the plainest statements

    def chain(self) -> None:
        source = self.tensor()
        self.pipe([self.target(source)], [source], self.stages(source))

    def join(self, targets: str, text: str, op: str, sources: Sequence[str]) -> None:
        self.say(f"{targets} = {text}")
        made = OPS[op]()

        def step(env: Env) -> None:
            env[targets] = infer(made, [env[source] for source in sources])

        self.read(*sources)
        self.do(step)
        self.bind(targets)

    def finish(self, results: int) -> tuple[str, ...]:
        """`return` of everything that nothing has read, joined until there are few enough."""
        while len(self.unread) > results:
            self.merge()
        if not self.unread:
            self.unread = [self.tensors()[-1]]
        found = tuple(self.unread)
        if len(found) == 1 and self.chance(40):
            operands = [self.env[found[0]]]
            stage = self.stage(operands[0], found[0])
            text = self.labelled(stage, operands)
            name = found[0]
            self.say(f"return {name} -> {text}")
            self.steps.append(lambda env: env.__setitem__(name, stage.run(env, [env[name]])[0]))
            return found
        self.say(f"return {', '.join(found)}")
        return found

    def merge(self) -> None:
        by_size: dict[object, list[str]] = {}
        for name in self.unread:
            by_size.setdefault(self.env[name].type.spatial, []).append(name)
        fits = max(by_size.values(), key=len)
        if len(fits) > 1:
            self.join(self.variable(), f"concat({', '.join(fits)})", "concat", fits)
            return
        spatial = [name for name in self.unread if self.env[name].rank]
        if self.keep or not spatial:
            raise Unfit("nothing to join")
        self.pipe([self.variable()], [spatial[0]], [OpStage("global_avg_pool")])


def whole(env: Env, name: str) -> int:
    value = env[name]
    if type(value) is not int or value < 1:
        raise Unfit("not a number")
    return value

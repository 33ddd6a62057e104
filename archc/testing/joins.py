"""Statements that join tensors: concatenations, arithmetic, residual branches, computed weights."""

from archc.ops.applied import ApplyConv, ApplyConvTranspose
from archc.ops.arithmetic import Mul
from archc.ops.op import TensorType
from archc.ops.registry import OPS
from archc.ops.resize import Upsample
from archc.testing.body import Body
from archc.testing.operators import STAGES, Situation
from archc.testing.stages import Env, Num, OpStage, Unfit, Val, const, infer

SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
FOLDS = ("sum", "min", "max")
RARE = [
    *("pixel_shuffle", "pixel_shuffle", "space_to_depth", "space_to_depth", "channel_shuffle"),
    *("avg_pool", "max_pool", "adaptive_avg_pool", "global_max_pool", "upsample", "flatten"),
    *("conv_transpose", "instance_norm", "reshape", "softmax", "take", "pad"),
    "crop",
]


class Joins(Body):
    """A body that writes joins."""

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

    def arithmetic(self, op: str | None = None) -> None:
        """A tensor and another, a branch of it, or a gate: `+`, `-`, `*` or `/`."""
        base = self.tensor()
        x = self.env[base]
        kind = self.one_of("other", "branch", "triple", *(["gate"] if op in ("mul", None) else []))
        op = op or self.one_of(*SIGNS)
        if op == "div":  # by what is surely not close to zero
            kind = "branch"
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
            branches = ("sigmoid",) if op == "div" else ("relu", "sigmoid", "bn", "identity")
            self.pipe([other], [base], [OpStage(self.one_of(*branches))])
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

    def fitted(self) -> None:
        """An image brought to the size of another one."""
        base = self.tensor(lambda value: 1 <= value.rank <= 3)
        x = self.env[base]
        fits = self.tensors(
            lambda value: value.rank == x.rank and (not self.keep or value.type == x.type)
        )
        other = self.one_of(*fits)
        mode = self.one_of("nearest", "bilinear", *(["bicubic"] if x.rank == 2 else []))
        aligned = mode != "nearest" and self.chance(40)
        words = f'like={other}, mode="{mode}"' if mode != "nearest" else f"like={other}"
        words += ", align_corners=true" if aligned else ""
        op = Upsample(like=True, mode=mode, align_corners=aligned)
        target = self.target(base)
        text = self.one_of(f"{base} -> upsample({words})", f"upsample({base}, {words})")
        self.say(f"{target} = {text}")
        self.read(base, other)
        self.do(lambda env: env.__setitem__(target, infer(op, [env[base], env[other]])))
        self.bind(target)

    def numbers(self) -> None:
        """A tensor and numbers: `2 * x`, `1 - x`, `x / 3`."""
        base = self.tensor()
        n = self.one_of(1, 2, 3, 0.5, 10, 0.3)
        text = self.one_of(
            *(f"{n} * {base}", f"{base} * {n}", f"{base} / {n}", f"-{base}", f"1 - {base}"),
            *(f"{base} + {n}", f"{base} - {n}", f"{n} - {base}", f"({base} + {n}) / 6"),
            *(f"{base} * -{n}", f"-({base} - {n}) + {base}", f"{n} * ({base} + {base})"),
        )
        self.join(self.target(base), text, "identity", [base])

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

    def shaken(self) -> None:
        """Two branches of one tensor, in random proportions."""
        base = self.tensor()
        other = self.variable()
        self.pipe([other], [base], [OpStage(self.one_of("relu", "sigmoid", "bn"))])
        infer(OPS["shake_shake"](), [self.env[base], self.env[other]])
        text = self.one_of(f"shake_shake({base}, {other})", f"({other}, {base}) -> shake_shake")
        operands = [base, other] if text.endswith(")") else [other, base]
        self.join(self.target(base), text, "shake_shake", operands)

    def residual(self) -> None:
        """`x + (x -> ... -> drop_path(...))`: the branch ends where it began."""
        base = self.tensor(lambda value: value.rank >= 1)
        channels = Num(f"{base}.channels", lambda env: env[base].channels)
        kernel = const(self.one_of(1, 3))
        stages = [OpStage("conv", (("out", channels), ("kernel", kernel))), OpStage("bn")]
        if self.chance(40):
            stages = stages[self.one_of(1, 2) :]
        texts = [self.labelled(stage, [self.env[base]]) for stage in stages]
        survival = self.one_of("survival=0.5", "survival=0.8", "survival=1", "branch=1, of=3")
        drop = f"drop_path({survival})"
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

    def tied_weight(self) -> None:
        """A convolution, and back to as many channels by the same weight."""
        base = self.tensor(lambda value: value.rank >= 1)
        x = self.env[base]
        weight, between, target = self.layer_variable(), self.variable(), self.target(base)
        kernel = self.one_of(1, 3)
        shape = (self.one_of(2, 4), x.channels, *[kernel] * x.rank)
        self.say(f'{weight} = param({list(shape)}, "normal", std={self.one_of(0.05, 1.0)})')
        self.say(f"{between} = apply_conv({base}, {weight}) -> relu")
        pad = f", padding={kernel // 2}" if kernel > 1 else ""
        self.say(f"{target} = apply_conv_transpose({between}, {weight}{pad})")
        type_ = TensorType(shape, batched=False)
        learned = Val(type_, type_)

        def step(env: Env) -> None:
            inner = infer(ApplyConv(), [env[base], learned])
            env[target] = infer(ApplyConvTranspose(padding=kernel // 2), [inner, learned])

        self.read(base)
        self.do(step)
        self.bind(target)

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

    def learned_part(self) -> None:
        """Some channels of a learned tensor, or means of it, which scale a tensor."""
        base = self.tensor()
        x = self.env[base]
        more = self.one_of(0, 1, 2)
        parts = {
            f"take({x.channels}, start={more})": (x.channels + more, *(1,) * x.rank),
            self.one_of("channel_mean", "channel_max"): (1 + more, *(1,) * x.rank),
        }
        if 1 <= x.rank <= 3:
            parts["global_avg_pool(keep=true)"] = (x.channels, *(1 + more,) * x.rank)
        part = self.one_of(*parts)
        name, target = self.layer_variable(), self.target(base)
        self.say(f'{name} = param({list(parts[part])}, "normal")')
        self.say(f"{target} = {base} * ({name} -> {part})")
        first = 1 if part.startswith("channel") else x.channels
        g = TensorType((first, *(1,) * x.rank), batched=False)
        self.read(base)
        self.do(lambda env: env.__setitem__(target, infer(Mul(), [env[base], Val(g, g)])))
        self.bind(target)

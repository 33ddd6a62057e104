"""Operators that move channels and compute none: joining, choosing, flattening."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from archc.ops.op import (
    ChannelRule,
    Constancy,
    Op,
    OpError,
    TensorType,
    TorchArg,
    TorchFunction,
    TorchModule,
    operand_word,
    parameter,
)


@dataclass(frozen=True)
class Concat(Op):
    """Tensors of equal spatial sizes, one after the other along the channels."""

    name: ClassVar[str] = "concat"
    arity: ClassVar[int | None] = None

    def rule(self, *types: TensorType) -> TensorType:
        first, *others = types
        for i, other in enumerate(others, start=1):
            if other.spatial != first.spatial:
                raise OpError(
                    f"`concat` needs equal spatial sizes, but its {operand_word(i, types)} is "
                    f"{other} and its {operand_word(0, types)} is {first}",
                    operand=i,
                )
        return TensorType((sum(type_.channels for type_ in types), *first.spatial))

    @property
    def channel_rule(self) -> ChannelRule:
        return "concat"

    @property
    def at_constant(self) -> Constancy:
        return "constant"

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("torch.cat([{operands}], 1)")


@dataclass(frozen=True)
class Take(Op):
    """`count` channels, from `start` on; of a learned tensor, along its first axis."""

    name: ClassVar[str] = "take"
    takes_learned: ClassVar[bool] = True

    count: int = parameter("int", low=1)
    start: int = parameter("int", 0, low=0, keyword=True)

    @property
    def stop(self) -> int:
        return self.start + self.count

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        if self.stop > x.channels:
            raise OpError(
                f"`take` wants channels {self.start} to {self.stop - 1}, "
                f"but its input {x} has {x.channels}",
                operand=0,
                parameter="count",
            )
        return TensorType((self.count, *x.spatial), x.batched)

    @property
    def channel_rule(self) -> ChannelRule:
        return "select"

    @property
    def at_constant(self) -> Constancy:
        return "constant"

    def selection(self, *types: TensorType) -> tuple[int | None, ...]:
        return tuple(range(self.start, self.stop))

    def thinned(self, reads: Sequence[int], keeps: Sequence[int], *types: TensorType) -> Op:
        return replace(self, count=len(keeps), start=sum(c < self.start for c in reads))

    def view(self, *types: TensorType) -> bool:
        return True

    def function(self, *types: TensorType) -> TorchFunction:
        batch = ":, " if types[0].batched else ""
        stop = TorchArg("stop", self.stop)
        if not self.start:
            return TorchFunction(f"{{0}}[{batch}:{{stop}}]", (stop,))
        start = TorchArg("start", self.start)
        return TorchFunction(f"{{0}}[{batch}{{start}}:{{stop}}]", (start, stop))


@dataclass(frozen=True)
class Flatten(Op):
    """All values of a sample as a vector, channel by channel."""

    name: ClassVar[str] = "flatten"

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        if x.elements is None:
            raise OpError(
                f"`flatten` needs sizes that are numbers, but its input is {x}",
                operand=0,
                help="declare the net's input with numbers, or use `global_avg_pool`",
            )
        return TensorType((x.elements,))

    @property
    def channel_rule(self) -> ChannelRule:
        return "reshape"

    @property
    def at_constant(self) -> Constancy:
        return "constant"

    def thinned(self, reads: Sequence[int], keeps: Sequence[int], *types: TensorType) -> Op:
        return self

    def view(self, *types: TensorType) -> bool:
        return True

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule("nn.Flatten")

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("{0}.flatten(1)")

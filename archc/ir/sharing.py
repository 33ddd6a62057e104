"""What of a graph is stored once: the data that `share-memory` attaches to it.

It names nodes and regions and rewrites nothing, so that every other reader of the graph sees the
net as the spec has it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DenseLayer:
    """One layer of a dense block, which reads all features before it and appends its own.

    `norms` and `convs` are its batch norms and convolutions, one or two of each, in their order;
    `dropouts` what follows each convolution, None where nothing does.
    """

    norms: tuple[int, ...]
    activations: tuple[int, ...]
    convs: tuple[int, ...]
    dropouts: tuple[int | None, ...]

    @property
    def nodes(self) -> tuple[int, ...]:
        """All its nodes, the concatenation apart."""
        dropouts = (node for node in self.dropouts if node is not None)
        return (*self.norms, *self.activations, *self.convs, *dropouts)


@dataclass(frozen=True, slots=True)
class DenseBlock:
    """A region whose features lie in one buffer: what it is given, then what each layer adds.

    `concats` are the concatenations that need not be computed; the last of them is the result.
    """

    region: int
    input: int
    layers: tuple[DenseLayer, ...]
    concats: tuple[int, ...]

    @property
    def nodes(self) -> frozenset[int]:
        """All nodes that the buffer replaces."""
        inner = (node for layer in self.layers for node in layer.nodes)
        return frozenset((*inner, *self.concats))


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """An activation after a batch norm: either, or both, are computed again from the norm's input.

    With `kept` the activation's own result stays, for many read it; `between` says that the
    activation would keep what the norm gives it.
    """

    norm: int
    activation: int
    kept: bool
    between: bool


@dataclass(frozen=True, slots=True)
class Closing:
    """A batch norm and a ReLU that read a dense block from outside, and perhaps the pool after
    them, which are one function.

    It stands in the place of `last`: of its last node, or of the pointwise convolution that comes
    after its pool now.
    """

    norm: int
    activation: int
    pool: int | None
    last: int


@dataclass(frozen=True, slots=True)
class Sharing:
    """Which values the backward pass finds without their having been kept.

    `blocks` are the dense blocks, `closings` what reads them; `concats` the other concatenations,
    which are kept as their parts; `activations` what else is computed again from the inputs of
    batch norms; `swaps` pointwise convolutions with the average pool after each, which runs before
    it; `rows` the regions that are run again, each from its own input. Where all this would hardly
    save anything, nothing is shared, and `declined` says so.
    """

    blocks: tuple[DenseBlock, ...] = ()
    closings: tuple[Closing, ...] = ()
    concats: tuple[int, ...] = ()
    activations: tuple[Rebuilt, ...] = ()
    swaps: tuple[tuple[int, int], ...] = ()
    rows: tuple[int, ...] = ()
    declined: str = ""

    def __bool__(self) -> bool:
        return bool(self.blocks or self.swaps or self.rows or self.rebuilds)

    @property
    def rebuilds(self) -> bool:
        """Whether anything is built again outside of dense blocks."""
        return bool(self.closings or self.concats or self.activations or self.rows)

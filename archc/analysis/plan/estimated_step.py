"""One step of training as it is estimated: when each value of a graph is there, and why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

from archc.analysis.plan.decisions import path_of
from archc.analysis.plan.timeline import Decision, Role, Storage, Timeline, listed, numbered
from archc.ir.graph import Graph, Node
from archc.ir.regions import boundaries, chains
from archc.ir.sharing import DenseBlock, Sharing
from archc.ops.activation import StopGradient
from archc.ops.arithmetic import Add, Sum
from archc.ops.op import Dim, Saved, TensorType
from archc.ops.tensor import Concat

_SIZES = {"float32": 4, "int64": 8}
_PARTS = 4 * (2 << 20)
"""What the parts of a dense block need at a time, at most."""


@dataclass(eq=False, slots=True)
class _Span:
    """Bytes of a node from a first to a last step."""

    node: int
    what: str
    bytes: int
    first: int
    last: int
    role: Role
    needed_by: list[str] = field(default_factory=list)


class EstimatedStep:
    """One run: a step for each node, then two for each in reverse order, in the first of which what
    it needs is made again."""

    def __init__(
        self, graph: Graph, sharing: Sharing, batch: int, dtype: str, memory: str, training: bool
    ) -> None:
        self.graph, self.sharing, self.training = graph, sharing, training
        self.batch, self.dtype, self.size = batch, dtype, 2 if dtype == "bfloat16" else 4
        self.keeps_bottlenecks = memory == "keep"
        self.nodes = list(graph.nodes())
        self.order = {node.id: i for i, node in enumerate(self.nodes)}
        self.around = chains(graph)
        rows = frozenset(sharing.rows)
        pairs = ((node.id, rows.intersection(self.around[node.region])) for node in self.nodes)
        self.row_of = {id: next(iter(around)) for id, around in pairs if around}
        """The region that runs again with a node."""
        self.spans: list[_Span] = []
        self.full = {node.id: self._bytes(node) for node in self.nodes}
        self.value = dict(self.full)
        """The bytes of each value that is made as a whole."""
        self.recipes: dict[int, tuple[int, ...]] = {}
        """What values are made again of."""
        self.inside: dict[int, DenseBlock] = {}
        self.passes_on = {node.id for node in self.nodes if self._passes_on(node)}
        """The nodes whose operands' gradients are that of the result, or lie in it."""
        self.home: dict[int, int] = {}
        """The node in whose storage a value lies."""
        self._share()
        for node in self.nodes:
            view = node.op.view(*graph.operand_types(node.id))
            self.home[node.id] = self.home[graph.operands(node.id)[0]] if view else node.id

    def timeline(self) -> Timeline:
        self._forward()
        if self.training:
            self._backward()
        spans = [span for span in self.spans if span.bytes]
        ids = numbered(f"{path_of(self.graph, s.node)}{s.what}" for s in spans)
        storages = [self._storage(span, id) for span, id in zip(spans, ids, strict=True)]
        count = len(self.nodes)
        return Timeline(3 * count + 1 if self.training else count, count, storages)

    # ------------------------------------------------------------- what is shared

    def _share(self) -> None:
        graph, sharing = self.graph, self.sharing
        for each in sharing.activations:
            self.recipes[each.norm] = graph.operands(each.norm)
            if not each.kept:
                self.recipes[each.activation] = (each.norm,)
        self.recipes |= {concat: graph.operands(concat) for concat in sharing.concats}
        for closing in sharing.closings:
            inner = [closing.norm, closing.activation]
            if closing.pool is not None:
                inner.append(closing.pool)
            self.recipes |= dict.fromkeys(inner, graph.operands(closing.norm))
            self.value |= dict.fromkeys(inner[:-1], 0)
            self.passes_on |= {*inner[1:]}
        self._swap()
        for block in sharing.blocks:
            narrow = {conv for layer in block.layers for conv in layer.convs[:-1]}
            for id in block.nodes:
                self.inside[id] = block
                if id not in narrow and id != block.concats[-1]:
                    self.value[id] = 0

    def _swap(self) -> None:
        graph, sharing = self.graph, self.sharing
        for conv, pool in sharing.swaps:  # what `conv` gives is pooled, and `pool` convolves that
            (x,) = graph.operands(conv)
            if self.full[conv]:
                self.value[conv] = self.full[x] * self.full[pool] // self.full[conv]
            if x in self.recipes or any(each.last == conv for each in sharing.closings):
                self.recipes[conv] = (x,)

    def _saves(self, node: Node) -> Iterator[tuple[int, Saved]]:
        """What a node outside of dense blocks keeps: values, or its own new tensors."""
        operands = self.graph.operands(node.id)
        if any(node.id in swap for swap in self.sharing.swaps):
            yield operands[0], Saved("input")
            return
        for saved in node.op.saves(self.graph.operand_types(node.id), node.type):
            yield operands[saved.operand] if saved.what == "input" else node.id, saved

    def _leaves(self, id: int) -> Iterator[int]:
        """The values that stay for one that is kept."""
        if id in self.recipes:
            for operand in self.recipes[id]:
                yield from self._leaves(operand)
        else:
            yield self.home[id]

    # --------------------------------------------------------------- forward

    def _forward(self) -> None:
        spans: dict[int, _Span] = {}
        for node in self.nodes:
            step = self.order[node.id]
            for operand in self.graph.operands(node.id):
                if self.home[operand] in spans:
                    spans[self.home[operand]].last = step
            if self.home[node.id] == node.id and self.graph.operands(node.id):
                block = self.inside.get(node.id)
                whole = block is not None and node.id == block.concats[-1]
                start = self.order[min(block.nodes)] if block is not None and whole else step
                spans[node.id] = self._add(node.id, "", self.value[node.id], start, step)
            self._add(node.id, ":between", self._between(node), step, step)
        for id, end in self._given():
            if self.home[id] in spans:
                spans[self.home[id]].last = max(spans[self.home[id]].last, end)
        if self.training:
            self._keep(spans)

    def _given(self) -> Iterator[tuple[int, int]]:
        """Values that are held to a step: a call holds what it is given, the caller the outputs."""
        ends: dict[int, int] = {}
        for node in self.nodes:
            ends |= dict.fromkeys(self.around[node.region], self.order[node.id])
        for region, edge in boundaries(self.graph).items():
            yield from ((id, ends[region]) for id in edge.reads)
        yield from ((output.node, self._end) for output in self.graph.outputs)

    def _keep(self, spans: Mapping[int, _Span]) -> None:
        """Let what is kept live on to the backward pass of the first node that needs it."""
        row_of = self.row_of
        ends = {row: id for id, row in row_of.items()}
        again: dict[int, _Span] = {}
        for node, id, what, bytes in self._kept():
            until, row = self._work(node), row_of.get(node)
            if id is None:
                start = self.order[node] if row is None else self._again(ends[row])
                self._add(node, what, bytes, start, until, "kept" if row is None else "recomputed")
            elif id not in spans:
                continue
            elif row is None or row_of.get(id) != row:
                span = spans[id]
                span.last, span.role = max(span.last, until), "kept"
                span.needed_by.append(path_of(self.graph, node))
            elif id in again:
                again[id].last = max(again[id].last, until)
            else:
                start, value = self._again(ends[row]), self.value[id]
                again[id] = self._add(id, ":again", value, start, until, "recomputed")

    def _kept(self) -> Iterator[tuple[int, int | None, str, int]]:
        """What nodes keep: the node, and the value; or None, and what is new and its bytes."""
        for node in self.nodes:
            if node.id in self.inside:
                continue
            for id, saved in self._saves(node):
                if saved.what == "new":
                    count = self.batch if saved.per_sample else 1
                    size = _SIZES.get(saved.dtype, self.size)
                    yield node.id, None, ":saved", count * size * _elements(saved.shape)
                else:
                    given = self.row_of.get(node.id) != self.row_of.get(id)  # to what runs again
                    leaves = (self.home[id],) if given else self._leaves(id)
                    yield from ((node.id, leaf, "", 0) for leaf in leaves)
        for block in self.sharing.blocks:
            first, wide = min(block.nodes), 4 * self.graph.node(block.concats[-1]).type.channels
            yield first, block.concats[-1], "", 0
            yield first, None, ":moments", 2 * wide
            for layer in block.layers:
                for norm in layer.norms:
                    yield first, None, ":norms", 16 * self.graph.node(norm).type.channels
                for conv in layer.convs[:-1]:
                    yield first, None, ":moments", 8 * self.graph.node(conv).type.channels
                    if self.keeps_bottlenecks:
                        yield first, conv, "", 0

    # -------------------------------------------------------------- backward

    def _backward(self) -> None:
        """Gradients on their way: that of a value, and whether it is in memory of its own."""
        wanted = self._wanted()
        grads: dict[int, tuple[_Span, bool]] = {}
        for output in self.graph.outputs:
            id, loss = output.node, len(self.nodes)
            if id in wanted:
                grads[id] = self._add(id, ":gradient", self.full[id], loss, self._end), False
        for node in reversed(self.nodes):
            block = self.inside.get(node.id)
            if node.id not in grads and block is None:
                continue
            self._remake(node)
            given = self._through_block(node, block, grads) if block else self._through(node, grads)
            for id, span, own in given:
                if id not in wanted:
                    continue
                step = self._work(node.id)
                span.last = max(span.last, step)
                if id in grads:
                    old, owned = grads[id]
                    old.last = max(old.last, step)
                    if not owned:
                        total = self._add(id, ":gradient", self.full[id], step, step, "gradient")
                        grads[id] = total, True
                else:
                    grads[id] = span, own

    def _wanted(self) -> set[int]:
        """The values whose gradients are wanted."""
        found: set[int] = set()
        for node in self.nodes:
            weights = node.layer.path and node.op.weights(*self.graph.operand_types(node.id))
            trained = any(weight.trained for weight in weights or ()) or node.op.opaque
            flows = any(id in found for id in self.graph.operands(node.id))
            if trained or (flows and not isinstance(node.op, StopGradient)):
                found.add(node.id)
        return found

    def _through(
        self, node: Node, grads: dict[int, tuple[_Span, bool]]
    ) -> Iterator[tuple[int, _Span, bool]]:
        """The gradients that a node gives its operands: theirs, and whether they are their own."""
        span, _ = grads.pop(node.id)
        step = self._work(node.id)
        span.last = max(span.last, step)
        self._weights(node, step)
        operands = self.graph.operands(node.id)
        self._add(node.id, ":between", self._between(node), step, step)
        for id in operands:
            bytes = self.full[id]
            if any(id == conv and node.id == pool for conv, pool in self.sharing.swaps):
                bytes = self.value[id] or bytes
            if node.id in self.passes_on and bytes <= span.bytes:
                yield id, span, False
            else:
                yield id, self._add(id, ":gradient", bytes, step, step, "gradient"), True

    def _through_block(
        self, node: Node, block: DenseBlock, grads: dict[int, tuple[_Span, bool]]
    ) -> Iterator[tuple[int, _Span, bool]]:
        """A dense block has one gradient of its features, from its last node to its first."""
        step, last = self._work(node.id), self._work(min(block.nodes))
        whole = self.full[block.concats[-1]]
        if node.id == block.concats[-1]:
            outside, _ = grads.pop(node.id)
            outside.last = max(outside.last, step)
            self._add(node.id, ":gradients", whole, step, last, "gradient")
        self._weights(node, step, last)
        if node.id in {conv for layer in block.layers for conv in layer.convs}:
            read = self.full[self.graph.operands(node.id)[0]]
            self._add(node.id, ":parts", min(_PARTS, 2 * read), step, step)
            if node.id not in {layer.convs[-1] for layer in block.layers}:
                made = 1 if self.keeps_bottlenecks else 2
                self._add(node.id, ":gradient", made * self.full[node.id], step, step, "gradient")
        if node.id == min(block.nodes):
            given = self.full[block.input]
            yield (
                block.input,
                self._add(block.input, ":gradient", given, step, step, "gradient"),
                True,
            )

    def _weights(self, node: Node, step: int, last: int | None = None) -> None:
        """The gradients of a node's weights, which are added to those of the parameters."""
        if node.layer.path is not None:
            weights = node.op.weights(*self.graph.operand_types(node.id))
            bytes = sum(self.size * weight.elements for weight in weights if weight.trained)
            self._add(node.id, ":weights", bytes, step, step if last is None else last, "gradient")

    def _remake(self, node: Node) -> None:
        """What a node needs and does not find is made again: first what that is made of."""
        if node.id in self.inside:
            return
        needed = {id for id, saved in self._saves(node) if saved.what != "new"}
        for id in sorted(needed & self.recipes.keys()):
            work = self._work(node.id)
            self._add(id, ":again", self.full[id], work - 1, work, "recomputed")
            self._add(id, ":parts", self._parts(id), work - 1, work - 1, "recomputed")

    def _parts(self, id: int) -> int:
        """The bytes that are needed at most beside a value while it is made again."""
        if any(id in (each.norm, each.activation, each.pool) for each in self.sharing.closings):
            return 0
        parts = [part for part in self.recipes[id] if part in self.recipes]
        inner = max((self.full[part] + self._parts(part) for part in parts), default=0)
        return max(sum(self.full[part] for part in parts), inner)

    # ----------------------------------------------------------------- steps

    @property
    def _end(self) -> int:
        return 3 * len(self.nodes) if self.training else len(self.nodes) - 1

    def _work(self, id: int) -> int:
        """The step in which a node's gradients are computed."""
        return 3 * len(self.nodes) - 2 * self.order[id]

    def _again(self, id: int) -> int:
        """The step in which what a node needs is made again."""
        return self._work(id) - 1

    def _add(
        self, node: int, what: str, bytes: int, first: int, last: int, role: Role = "momentary"
    ) -> _Span:
        self.spans.append(_Span(node, what, bytes, first, last, role))
        return self.spans[-1]

    # ----------------------------------------------------------------- bytes

    def _bytes(self, node: Node) -> int:
        """Of a node's value; inputs and weights are there in any case."""
        if not self.graph.operands(node.id):
            return 0
        return sum(map(self._bytes_of, node.type.parts))

    def _bytes_of(self, type_: TensorType) -> int:
        count = self.batch if type_.batched else 1
        return count * self.size * _elements(type_.shape)

    def _between(self, node: Node) -> int:
        """What a node makes on the way to its result."""
        types = self.graph.operand_types(node.id)
        return node.op.intermediates * self._bytes_of(types[0]) if types else 0

    def _passes_on(self, node: Node) -> bool:
        if not self.graph.operands(node.id):
            return False
        if isinstance(node.op, Add | Sum | Concat):
            return True
        same = node.type.elements == self.graph.operand_types(node.id)[0].elements
        return same and node.op.view(*self.graph.operand_types(node.id))

    def _storage(self, span: _Span, id: str) -> Storage:
        node = self.graph.node(span.node)
        path = node.layer.path or self.graph.regions[node.region].path
        whole = span.bytes == self.full[node.id]
        shape = (
            (self.batch, *(dim for dim in node.type.shape if isinstance(dim, int)))
            if whole
            else (span.bytes,)
        )
        decision, why = self._decision(span)
        return Storage(
            id, ".".join(path), shape, self.dtype if whole else "bytes", span.bytes,
            span.first, span.last, span.role, decision, why, tuple(dict.fromkeys(span.needed_by)),
        )  # fmt: skip

    def _decision(self, span: _Span) -> tuple[Decision, str]:
        if span.what == "" and span.node in {self.home[each.node] for each in self.graph.outputs}:
            return "kept", "a result of the net"
        if span.role == "kept":
            return "kept", f"needed by {listed(span.needed_by) or path_of(self.graph, span.node)}"
        if span.role == "recomputed":
            return "recomputed", "computed again in the backward pass"
        if span.what == "" and span.node in self.recipes:
            return "recomputed", "cheap to compute again for the backward pass"
        return "freed", f"last used in step {span.last}"


def _elements(shape: tuple[Dim, ...]) -> int:
    return prod(dim for dim in shape if isinstance(dim, int))  # all are, at sizes

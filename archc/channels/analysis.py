"""Which channels of each tensor stay where norms drop some of theirs: backwards, then forwards.

A channel stays where something reads it. What sums over its input channels does not read zeros; a
constant leaves it where its sum over the window is the same at all positions, and can be added to
a bias or taken off the running mean of the norm behind. Each reader of a tensor may read channels
of its own; the tensor has those that any of them reads. An operator that says nothing of its
channels reads all.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from archc.channels.masks import block_widths, blocks, every, joined, lowest, mask_of, members
from archc.channels.values import Known, added_zeros, values
from archc.ir.graph import Graph, Input, Node, Path
from archc.ops.normalization import BatchNorm
from archc.ops.op import TensorType


@dataclass(frozen=True, slots=True)
class Channels:
    """The result, by node ids. `reads` are the channels of an operand, by reader and position."""

    graph: Graph
    dropped: Mapping[Path, int]
    shifted: bool
    known: Mapping[int, Known]
    kept: Mapping[int, int]
    reads: Mapping[tuple[int, int], int]
    reasons: Mapping[int, Sequence[tuple[int, str]]]
    """Why channels that are not live are read, by the node that has them."""

    def norms(self) -> dict[Path, int]:
        """The channels that are left of each batch norm; none of one that is gone."""
        found: dict[Path, int] = {}
        for node in norms_of(self.graph):
            assert node.layer.path is not None
            found[node.layer.path] = found.get(node.layer.path, 0) | self.kept[node.id]
        return found

    def absorbed(self, node: Node) -> int:
        """The constant channels of a node's operand that leave, and what they add with them."""
        operands = self.graph.operands(node.id)
        if not node.op.sums or not operands or not self.kept[node.id]:
            return 0
        return self.known[operands[0]].constant & ~self.kept[operands[0]]

    def why(self, node: Node, channel: int) -> str | None:
        """What reads a channel that is not live."""
        found = (text for mask, text in self.reasons.get(node.id, ()) if mask >> channel & 1)
        return next(found, None)


def norms_of(graph: Graph) -> list[Node]:
    """The batch norms with scales of their own, in order; one that is shared, once for each use."""
    nodes = (node for node in graph.nodes() if node.layer.path is not None)
    return [node for node in nodes if isinstance(node.op, BatchNorm) and node.op.affine]


def analyse(
    graph: Graph, dropped: Mapping[Path, int], *, shifted: bool = False, producers: bool = True
) -> Channels:
    """What stays of a graph whose norms drop some channels.

    These are zero, or, if the norms stay `shifted`, constant. Without `producers`, channels leave
    norms, what reads these, and the layers that only one of them reads; others stay as wide as they
    are, as in the scripts of the paper's authors.
    """
    known = values(graph, dropped, shifted=shifted)
    found = _Needs(graph, known, producers=producers)
    found.run()
    return Channels(graph, dropped, shifted, known, found.kept, found.reads, found.reasons)


@dataclass
class _Needs:
    graph: Graph
    known: Mapping[int, Known]
    producers: bool
    need: dict[int, int] = field(default_factory=dict)
    reads: dict[tuple[int, int], int] = field(default_factory=dict)
    reasons: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    kept: dict[int, int] = field(default_factory=dict)

    def run(self) -> None:
        self.given = {output.node for output in self.graph.outputs}
        self.shared = _shared(self.graph)
        self.whole = {node.id for node in self.graph.nodes() if self._is_whole(node)}
        for node in reversed(list(self.graph.nodes())):
            self._visit(node)
        for node in self.graph.nodes():
            self.kept[node.id] = self._keep(node)

    def _is_whole(self, node: Node) -> bool:
        """Whether a node reads and gives all channels or none."""
        if node.id in self.shared or isinstance(node.op, Input) or node.type.others:
            return True
        types = self.graph.operand_types(node.id)
        reads = range(types[0].channels) if types else ()
        return node.op.thinned(reads, range(node.type.channels), *types) is None

    # ----------------------------------------------------------- backwards

    def _visit(self, node: Node) -> None:
        need = self.need[node.id] = self._settled(node)
        if not need:
            return
        for position, operand in enumerate(self.graph.operands(node.id)):
            demand, text = self._demand(node, need, position, operand)
            self.reads[node.id, position] = demand
            self.need[operand] = self.need.get(operand, 0) | demand
            self._remember(node, position, operand, demand & self.known[operand].dead, text)

    def _settled(self, node: Node) -> int:
        """The channels that a node gives, for those that are read."""
        need, everything = self.need.get(node.id, 0), every(node.type.channels)
        if node.id in self.given:
            self.reasons.setdefault(node.id, []).append((everything, "it is an output of the net"))
            return everything
        if not need:
            return 0
        if node.id in self.whole:
            return everything
        if not self.producers and not self._feeds_one_norm(node):
            need |= everything & ~self.known[node.id].dead
        types = self.graph.operand_types(node.id)
        if node.op.channel_rule in ("grouped", "reshape"):
            _, width = block_widths(node, types[0])
            return _filled(need, width, node, least=node.op.sums)
        return need

    def _feeds_one_norm(self, node: Node) -> bool:
        users = self.graph.users(node.id)
        only = self.graph.node(users[0][0]).op if len(users) == 1 else None
        return node.op.sums and isinstance(only, BatchNorm)

    def _demand(self, node: Node, need: int, position: int, operand: int) -> tuple[int, str | None]:
        """The channels of an operand that a node reads, and why, if not for its readers' sake."""
        types = self.graph.operand_types(node.id)
        x, known = types[position], self.known[operand]
        if node.id in self.whole:
            reason = "is applied several times" if node.id in self.shared else "reads all channels"
            return every(x.channels), f"{title(node)} {reason}"
        match node.op.channel_rule:
            case "concat":
                start = sum(type_.channels for type_ in types[:position])
                return need >> start & every(x.channels), None
            case "select":
                return self._selected(node, need, position, types), None
            case "same":
                return self._matched(node, need, position), None
        if node.op.sums:
            return self._summed(node, need, x, known)
        before, after = block_widths(node, x)
        whole = (every(before) if part else 0 for part in blocks(need, after, _count(x, before)))
        return joined((part, before) for part in whole), f"{title(node)} takes channels together"

    def _selected(self, node: Node, need: int, position: int, types: Sequence[TensorType]) -> int:
        if position:  # of which the shape is read
            return 1
        chosen = node.op.selection(*types)
        sources = [chosen[channel] for channel in members(need)]
        found = [source for source in sources if source is not None]
        return mask_of(found or [source for source in chosen if source is not None][:1])

    def _matched(self, node: Node, need: int, position: int) -> int:
        """Of an operator that takes its operands channel by channel: with several, one of them may
        lack channels of zeros, and be left out where it has no others and is only added."""
        types, out = self.graph.operand_types(node.id), node.type
        operands = self.graph.operands(node.id)
        if len(operands) == 1:
            return need
        wanted = [self._nonzero(operand, need, out) for operand in operands]
        if wanted[position]:
            return wanted[position]
        like = [_is_like(type_, out) for type_ in types]
        carried = any(mask and same for mask, same in zip(wanted, like, strict=True))
        if carried and node.op.beside_zero == "neutral":
            return 0
        return lowest(need) if types[position].channels == out.channels else 1

    def _nonzero(self, operand: int, need: int, out: TensorType) -> int:
        node = self.graph.node(operand)
        added = added_zeros(node, self.graph.operand_types(operand))
        lacking = self.known[operand].zero & ~added
        if node.type.channels != out.channels:
            return 1 & ~lacking
        return need & ~lacking

    def _summed(self, node: Node, need: int, x: TensorType, known: Known) -> tuple[int, str | None]:
        live = every(x.channels) & ~known.zero
        if node.op.channel_rule == "mix":
            if self._absorbs(node):
                live &= ~known.constant
            return live or 1, self._why_read(node, live)
        before, after = block_widths(node, x)
        parts = zip(
            blocks(live, before, _count(x, before)),
            blocks(need, after, _count(x, before)),
            strict=True,
        )
        used = [part if wanted else None for part, wanted in parts]
        most = max(1, *(part.bit_count() for part in used if part is not None))
        full = (0 if part is None else _more(part, before, most) for part in used)
        return joined((part, before) for part in full), (
            f"{title(node)} reads equally many channels in each of its groups"
        )

    def _why_read(self, node: Node, live: int) -> str:
        if not live:
            return f"{title(node)} reads no other channel"
        if not node.op.seamless:
            return f"{title(node)} pads with zeros, so that a constant counts less at the border"
        return f"{title(node)} has no bias, and no norm behind it alone, to absorb a constant"

    def _absorbs(self, node: Node) -> bool:
        """Whether what constants add to a node's result can be kept in a weight."""
        if not node.op.seamless:
            return False
        if getattr(node.op, "bias", False):
            return True
        behind = norm_behind(self.graph, node)
        return behind is not None and behind.id not in self.shared

    def _remember(
        self, node: Node, position: int, operand: int, extra: int, text: str | None
    ) -> None:
        if not extra:
            return
        entries = self.reasons.setdefault(operand, [])
        if text is not None:
            entries.append((extra, text))
            return
        types = self.graph.operand_types(node.id)
        start = 0
        if node.op.channel_rule == "concat":
            start = sum(type_.channels for type_ in types[:position])
        for mask, reason in self.reasons.get(node.id, ()):
            if mask >> start & extra:
                entries.append((mask >> start & extra, reason))
        entries.append((extra, f"{title(node)} reads it"))

    # ------------------------------------------------------------ forwards

    def _keep(self, node: Node) -> int:
        """The channels that a node really has: no fewer than are read."""
        operands, everything = self.graph.operands(node.id), every(node.type.channels)
        if isinstance(node.op, Input):
            return everything
        need = self.need[node.id]
        if not need:
            beside = any(self.graph.node(u).type.others and self.kept[u] for u in operands)
            return everything if beside else 0
        if node.id in self.whole:
            return everything
        types = self.graph.operand_types(node.id)
        match node.op.channel_rule:
            case "concat":
                masks = self._read_as_they_are(node, operands)
                return joined((m, t.channels) for m, t in zip(masks, types, strict=True))
            case "select":
                kept, *_ = self._read_as_they_are(node, operands)
                chosen = node.op.selection(*types)
                copied = (s is not None and kept >> s & 1 for s in chosen)
                found = mask_of(i for i, there in enumerate(copied) if there)
                return found | need & added_zeros(node, types)
            case "mix":
                self._read_as_they_are(node, operands)
            case "same":
                for position, type_ in enumerate(types):
                    if self.reads[node.id, position] and type_.channels == node.type.channels:
                        self.reads[node.id, position] = need  # zeros are put where it lacks some
        return need

    def _read_as_they_are(self, node: Node, operands: Sequence[int]) -> list[int]:
        for position, operand in enumerate(operands):
            self.reads[node.id, position] = self.kept[operand]
        return [self.kept[operand] for operand in operands]


def norm_behind(graph: Graph, node: Node) -> Node | None:
    """The batch norm that alone reads a node, once."""
    users = graph.users(node.id)
    if len(users) != 1 or any(output.node == node.id for output in graph.outputs):
        return None
    reader = graph.node(users[0][0])
    return reader if isinstance(reader.op, BatchNorm) else None


def title(node: Node) -> str:
    """What messages call a node: by its path, if it has one."""
    return f"`{'.'.join(node.layer.path) if node.layer.path else node.op.name}`"


def _shared(graph: Graph) -> frozenset[int]:
    """The nodes in modules that are applied several times, and layers that are, if they have
    weights or would be others: what is read and given is the same in all applications."""
    applied = Counter(region.path for region in graph.regions.values())
    paths = Counter(node.layer.path for node in graph.nodes() if node.layer.path)
    return frozenset(_shared_nodes(graph, applied, paths))


def _shared_nodes(graph: Graph, applied: Counter[Path], paths: Counter[Path]) -> Iterator[int]:
    for node in graph.nodes():
        region = graph.regions[node.region]
        inside = region
        while applied[inside.path] == 1 and inside.parent is not None:
            inside = graph.regions[inside.parent]
        types = graph.operand_types(node.id)
        plain = node.op.channel_rule == "same" and not node.op.weights(*types)
        several = node.layer.path is not None and paths[node.layer.path] > 1
        if applied[inside.path] > 1 or (several and not plain):
            yield node.id


def _is_like(type_: TensorType, out: TensorType) -> bool:
    return type_.shape == out.shape and type_.batched == out.batched


def _count(x: TensorType, width: int) -> int:
    return x.channels // width


def _more(part: int, width: int, count: int) -> int:
    """A part of a block, with its first other channels until there are `count`."""
    return part | lowest(every(width) & ~part, count - part.bit_count())


def _filled(need: int, width: int, node: Node, *, least: bool) -> int:
    """The channels of whole blocks; or of equally many channels in each that has any."""
    parts = blocks(need, width, node.type.channels // width)
    most = max(part.bit_count() for part in parts) if least else width
    return joined((_more(part, width, most) if part else 0, width) for part in parts)

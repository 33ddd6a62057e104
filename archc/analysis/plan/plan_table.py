"""A plan as text for people: the totals, and what is kept, by region, the biggest first."""

from collections.abc import Iterator, Sequence

from archc.analysis.plan.plan import MemoryPlan, Timeline
from archc.analysis.plan.schedule import Tensor
from archc.analysis.text_table import cut
from archc.diagnostics import did_you_mean, error, printable
from archc.ir.regions import natural

_DEPTH = 2
"""Regions deeper than this are counted with the one around them."""
_LEAST = 36
"""The room that names have in any case."""
_ROWS, _EACH = 12, 3
"""So many regions are shown, and so many tensors of each."""


def to_text(plan: MemoryPlan, width: int | None = None) -> str:
    """The plan in about forty lines of at most `width` characters, None for any."""
    heading = f"{plan.name}, {plan.mode}, batch {plan.batch}, {plan.dtype}"
    heading += f", memory {plan.memory}" if plan.mode == "training" else ""
    lines = [printable(heading), "", *_totals(plan)]
    at = "saved for backward" if plan.mode == "training" else "live at the peak"
    lines += ["", f"{at}, by region:", "", *_aligned(list(_regions(plan)), width)]
    if plan.unknown:
        names = ", ".join(plan.unknown)
        lines += ["", printable(f"not counted: what the extern layers ({names}) keep")]
    return "\n".join(lines)


def _totals(plan: MemoryPlan) -> Iterator[str]:
    yield f"{'':<20}{'torch as is':>14}{'planned':>14}"
    rows = [("peak", plan.naive.peak, plan.planned.peak)]
    if plan.mode == "training":
        rows.insert(0, ("saved for backward", plan.naive.saved, plan.planned.saved))
    for name, naive, planned in rows:
        less = f"{naive / planned:>8.2f} times less" if planned and naive > planned else ""
        yield f"{name:<20}{mib(naive):>14}{mib(planned):>14}{less}"
    yield f"{'one arena for all':<20}{'':>14}{mib(plan.arena_bytes):>14}"
    yield "above parameters, their gradients and buffers; the arena holds the inputs, too"


def mib(bytes: int) -> str:
    """Bytes for people: `12.3 MiB`, or `640 B` where there are few."""
    return f"{bytes / 2**20:,.1f} MiB" if bytes >= 2**16 else f"{bytes:,} B"


_Row = tuple[str, str, str, str]
"""A name, a shape or a number of tensors, bytes, and why."""


def _aligned(rows: Sequence[_Row], width: int | None) -> Iterator[str]:
    """The rows under each other: of a name that is too long the end is shown, which says most."""
    longest = max((len(name) for name, *_ in rows), default=0)
    room = max(longest, _LEAST) if width is None else max(_LEAST, min(longest, width - 40))
    for name, size, bytes, why in rows:
        shown = name if len(name) <= room else f"...{name[3 - room :]}"
        text = printable(f"{shown:<{room}}{size:>18}{bytes:>11}  {why}".rstrip())
        yield text if width is None else cut(text, width)


def _regions(plan: MemoryPlan) -> Iterator[_Row]:
    groups: dict[str, list[Tensor]] = {}
    timeline = plan.planned
    for id in _shown(plan, timeline):
        tensor = timeline.schedule.tensors[id]
        path = ".".join(tensor.region.split(".")[:_DEPTH]) or plan.name
        groups.setdefault(path, []).append(tensor)
    ordered = sorted(groups.items(), key=lambda group: (-_bytes(group[1]), natural(group[0])))
    for path, tensors in ordered[:_ROWS]:
        yield path, _count(tensors), mib(_bytes(tensors)), ""
        for tensor in sorted(tensors, key=lambda t: (-t.bytes, natural(t.id)))[:_EACH]:
            yield _row(tensor)
    rest = [tensor for _, tensors in ordered[_ROWS:] for tensor in tensors]
    if rest:
        yield f"{len(ordered) - _ROWS} more", _count(rest), mib(_bytes(rest)), ""


def _shown(plan: MemoryPlan, timeline: Timeline) -> Sequence[str]:
    """The storages that the table is about."""
    if plan.mode == "training":
        return timeline.kept
    at = timeline.bytes.index(timeline.peak) if timeline.bytes else 0
    spans = timeline.live.storages
    return [id for id in timeline.own if spans[id].first <= at <= spans[id].last]


def _count(tensors: Sequence[Tensor]) -> str:
    return f"{len(tensors)} tensor{'' if len(tensors) == 1 else 's'}"


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(tensor.bytes for tensor in tensors)


def _row(tensor: Tensor) -> _Row:
    shape = "x".join(map(str, tensor.shape))
    return f"  {tensor.id}", shape, mib(tensor.bytes), tensor.why


def explain(plan: MemoryPlan, path: str) -> str:
    """Every tensor of a region or of that name: when it lives, where, and why. Raises ArchError."""
    schedule, spans = plan.planned.schedule, plan.planned.live.tensors
    inside = f"{path}."
    found = [
        tensor
        for tensor in schedule.tensors.values()
        if path in (tensor.id, tensor.region)
        or any(name.startswith(inside) for name in (tensor.region, *tensor.id.split(":")))
    ]
    if not found:
        names = {tensor.region for tensor in schedule.tensors.values()} | set(schedule.tensors)
        raise error(
            "E0811",
            f"no tensor or region is called `{path}`",
            help=did_you_mean(path, names) or "`archc plan --json` has all names",
        )
    lines = []
    for tensor in found:
        span, shape = spans[tensor.id], "x".join(map(str, tensor.shape))
        lines.append(f"{tensor.id}: {shape} {tensor.dtype}, {mib(tensor.bytes)}, {tensor.kind}")
        lines.append(f"  steps {span.first} to {span.last}, from byte {plan.offset(tensor):,} on")
        lines.append(f"  {tensor.decision}: {tensor.why}")
    return "\n".join(map(printable, lines))

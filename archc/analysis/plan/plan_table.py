"""A plan as text for people: the totals, and what is kept, by region, the biggest first."""

from collections.abc import Iterator, Sequence

from archc.analysis.plan.plan import MemoryPlan
from archc.analysis.plan.timeline import Storage
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
    yield "above inputs, parameters, their gradients and buffers"
    if plan.estimate:
        yield "an estimate, from the graph alone: with torch, the net itself is run on shapes"


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
    groups: dict[str, list[Storage]] = {}
    for storage in _shown(plan):
        path = ".".join(storage.region.split(".")[:_DEPTH]) or plan.name
        groups.setdefault(path, []).append(storage)
    ordered = sorted(groups.items(), key=lambda group: (-_bytes(group[1]), natural(group[0])))
    for path, storages in ordered[:_ROWS]:
        yield path, _count(storages), mib(_bytes(storages)), ""
        for each in sorted(storages, key=lambda s: (-s.bytes, natural(s.id)))[:_EACH]:
            yield f"  {each.id}", "x".join(map(str, each.shape)), mib(each.bytes), each.why
    rest = [storage for _, storages in ordered[_ROWS:] for storage in storages]
    if rest:
        yield f"{len(ordered) - _ROWS} more", _count(rest), mib(_bytes(rest)), ""


def _shown(plan: MemoryPlan) -> Sequence[Storage]:
    """The storages that the table is about."""
    timeline = plan.planned
    if plan.mode == "training":
        return timeline.kept
    at = timeline.bytes.index(timeline.peak) if timeline.bytes else 0
    return [each for each in timeline.storages if each.first <= at <= each.last]


def _count(storages: Sequence[Storage]) -> str:
    return f"{len(storages)} tensor{'' if len(storages) == 1 else 's'}"


def _bytes(storages: Sequence[Storage]) -> int:
    return sum(storage.bytes for storage in storages)


def explain(plan: MemoryPlan, path: str) -> str:
    """What of a region, or of that name, shares memory, and every tensor of it: when it lives, and
    why. Raises ArchError."""

    def is_meant(name: str) -> bool:
        return name == path or name.startswith((f"{path}.", f"{path}:"))

    storages = plan.planned.storages
    shared = [each for each in plan.shared if is_meant(each.path)]
    found = [each for each in storages if is_meant(each.region) or is_meant(each.id)]
    if not found and not shared:
        names = {name for each in storages for name in (each.region, each.id)}
        raise error(
            "E0811",
            f"no tensor or region is called `{path}`",
            help=did_you_mean(path, names) or "`archc plan --json` has all names",
        )
    lines = [f"{each.path}: {each.why}" for each in shared]
    for each in found:
        shape = "x".join(map(str, each.shape))
        lines.append(f"{each.id}: {shape} {each.dtype}, {mib(each.bytes)}")
        lines.append(f"  steps {each.first} to {each.last}")
        lines.append(f"  {each.decision}: {each.why}")
    return "\n".join(map(printable, lines))

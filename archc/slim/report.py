"""What slimming has changed, as text, as JSON and as a picture."""

from collections.abc import Iterator, Mapping
from html import escape

from torch import Tensor

from archc.analysis.cost import Cost, costs_of, macs_text
from archc.channels.selection import widths_of
from archc.slim.measured import Measured
from archc.slim.slimming import Thin

SCHEMA = 1
_BAR = 24
_BINS = 40


def to_json(thin: Thin, measured: Measured | None = None) -> dict[str, object]:
    """All figures: of the nets before and after, and of each norm; times in seconds."""
    choice = thin.choice
    return {
        "schema": SCHEMA,
        "net": thin.compilation.graph.name,
        "threshold": choice.threshold,
        "before": _figures(_before(thin), _bytes(thin.wide.state)),
        "after": _figures(thin.cost, _bytes(thin.state)),
        "without_producers": _figures(thin.without_producers, None),
        **({} if measured is None else measured.to_json()),
        "norms": [
            {"path": path, "kept": kept, "of": width, "scores": list(scores)}
            for path, kept, width, scores in _norms(thin)
        ],
        "stays": [
            {"path": ".".join(path), "channel": channel, "why": why}
            for (path, channel), why in sorted(choice.stays.items())
        ],
    }


def _before(thin: Thin) -> Cost:
    return costs_of(thin.wide.graph).total()


def _figures(cost: Cost, bytes_: int | None) -> dict[str, int | None]:
    found = {"params": cost.params, "macs": cost.macs}
    return found if bytes_ is None else {**found, "bytes": bytes_}


def _bytes(state: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values())


def _norms(thin: Thin) -> Iterator[tuple[str, int, int, list[float]]]:
    """Path, channels left and before, and scores of each norm."""
    left, scores = thin.choice.channels.norms(), thin.choice.scores
    for path, width in widths_of(thin.wide.graph).items():
        yield ".".join(path), left[path].bit_count(), width, list(scores.get(path, ()))


def to_text(thin: Thin, measured: Measured | None = None) -> str:
    """A table of the figures, and a bar for each norm."""
    before, after, between = _before(thin), thin.cost, thin.without_producers
    sizes = [_bytes(state) for state in (thin.wide.state, thin.state)]
    lines = [
        _row("parameters", f"{before.params:,}", f"{after.params:,}", before.params, after.params),
        _row("MACs", macs_text(before), macs_text(after), before.macs, after.macs),
        _row("bytes", f"{sizes[0]:,}", f"{sizes[1]:,}", *sizes),
    ]
    lines.append(f"of these, what only layers give that nobody reads: {_producers(between, after)}")
    lines += [] if measured is None else measured.lines()
    widest = max(len(path) for path, *_ in _norms(thin))
    for path, kept, width, _ in _norms(thin):
        filled = round(_BAR * kept / width)
        bar = "#" * filled + "." * (_BAR - filled)
        gone = "  the whole branch is gone" if not kept else ""
        lines.append(f"{path:<{widest}}  {bar} {kept:>5} of {width}{gone}")
    lines += _staying(thin)
    return "\n".join(lines) + "\n"


def _staying(thin: Thin) -> Iterator[str]:
    """A line for each reason for which channels stay although their scores would let them go."""
    reasons = list(thin.choice.stays.values())
    for reason in dict.fromkeys(reasons):
        count = reasons.count(reason)
        one = "1 channel that would go by its score stays"
        several = f"{count} channels that would go by their scores stay"
        yield f"{one if count == 1 else several}: {reason}"


def _row(name: str, one: str, two: str, before: int | None, after: int | None) -> str:
    share = "" if after is None or not before else f"{after / before:.1%}"
    return f"{name:<12}{one:>16} -> {two:>16}  {share}".rstrip()


def _producers(between: Cost, after: Cost) -> str:
    macs = (
        ""
        if between.macs is None or after.macs is None
        else f", {between.macs - after.macs:,} MACs"
    )
    return f"{between.params - after.params:,} parameters{macs}"


def to_svg(thin: Thin) -> str:
    """Bars of the norms, and how many channels have which score, with the threshold."""
    norms = list(_norms(thin))
    left = 8 + 7 * max(len(path) for path, *_ in norms)
    height = 16 * len(norms) + 150
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + 300}" height="{height}" '
        'font-family="monospace" font-size="11">'
    ]
    for i, (path, kept, width, _) in enumerate(norms):
        y = 16 * i + 4
        parts.append(f'<text x="4" y="{y + 10}">{escape(path)}</text>')
        parts.append(f'<rect x="{left}" y="{y}" width="200" height="12" fill="#dddddd"/>')
        parts.append(_rect(left, y, 200 * kept / width, 12))
        parts.append(f'<text x="{left + 206}" y="{y + 10}">{kept} of {width}</text>')
    parts += _histogram(thin, left, height - 24)
    return "\n".join([*parts, "</svg>\n"])


def _rect(x: float, y: float, width: float, height: float) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="#3465a4"/>'


def _histogram(thin: Thin, left: int, base: int) -> Iterator[str]:
    scores = [score for *_, each in _norms(thin) for score in each]
    top = max(scores) or 1.0
    counts = [0] * _BINS
    for score in scores:
        counts[min(int(_BINS * score / top), _BINS - 1)] += 1
    for i, count in enumerate(counts):
        tall = 100 * count / max(counts)
        yield _rect(left + 5 * i, base - tall, 4, tall)
    x = left + 200 * max(thin.choice.threshold, 0) / top
    yield f'<path d="M{x:g} {base - 104} V{base + 2}" stroke="#cc0000"/>'
    words = f"scores 0 to {top:.3g}; threshold {thin.choice.threshold:.3g}"
    yield f'<text x="{left}" y="{base + 14}">{words}</text>'

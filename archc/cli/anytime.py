"""What `archc eval --anytime` and `--budgets` print and draw."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archc.cli.console import say

if TYPE_CHECKING:
    from archc.anytime.report import Anytime
    from archc.train.trained import Trained

SHOWN = 12
"""Images that leave first, and last."""


def exits_lines(found: "Anytime", wanted: Sequence[str]) -> Iterator[str]:
    """What is printed of exits, for `anytime` and `budgets`."""
    for each in wanted:
        yield from _anytime_lines(found) if each == "anytime" else _budget_lines(found)


def draw_exits(found: "Anytime", trained: "Trained", wanted: Sequence[str], folder: Path) -> None:
    """What is drawn of them, in a folder."""
    if "anytime" in wanted:
        _draw_anytime(found, folder)
    if "budgets" in wanted:
        _draw_budgets(found, trained, folder)


def _anytime_lines(found: "Anytime") -> Iterator[str]:
    """A row for each exit."""
    from archc.analysis.text_table import table

    head = ("exit", "accuracy", "M MACs", "ms an image", "alone, ms")
    rows = [
        (
            row.name,
            f"{row.accuracy:.2%}",
            f"{row.macs / 1e6:,.2f}",
            f"{row.milliseconds:.3f}",
            f"{row.alone_milliseconds:.3f}",
        )
        for row in found.exits
    ]
    yield ""
    yield from table([head, *rows], words=1)


def _budget_lines(found: "Anytime") -> Iterator[str]:
    """A row for each budget."""
    from archc.analysis.text_table import table

    head = ("budget, M MACs", "accuracy", "M MACs", "paper's family", "ms an image", "to exits' ms")
    rows = [
        (
            f"{row.budget / 1e6:,.2f}",
            f"{row.accuracy:.2%}",
            f"{row.macs / 1e6:,.2f}",
            "" if row.family_accuracy is None else f"{row.family_accuracy:.2%}",
            f"{row.milliseconds:.3f}",
            f"{row.milliseconds / row.expected_milliseconds:.2f}",
        )
        for row in found.budgets
    ]
    yield ""
    note = ", on which they are measured" if found.chosen_by == found.split else ""
    yield f"thresholds were chosen by the {found.chosen_by} images{note}"
    yield ""
    yield from table([head, *rows], words=0)


def _draw_anytime(found: "Anytime", folder: Path) -> None:
    """`anytime.svg`: accuracy of each exit against compute."""
    from archc.viz.budgets import accuracy_svg
    from archc.writing import write_atomically

    points = [(row.macs / 1e6, row.accuracy) for row in found.exits]
    title = f"{found.net}: anytime prediction"
    path = folder / "anytime.svg"
    write_atomically(path, accuracy_svg(title, "M MACs", {"exits": points}).encode())
    say("eval", f"wrote {path}")


def _draw_budgets(found: "Anytime", trained: "Trained", folder: Path) -> None:
    """`budgets.svg` and `budgets-time.svg`: accuracy against the mean cost; `leaving.png`: the
    images that leave first, above, and last."""
    from archc.viz.budgets import accuracy_svg
    from archc.writing import write_atomically

    rows = found.budgets
    macs = {
        "search": [(row.macs / 1e6, row.accuracy) for row in rows],
        "paper's family": [(each.cost / 1e6, each.accuracy) for each in found.family],
        "one exit for all": [(row.macs / 1e6, row.accuracy) for row in found.exits],
    }
    times = {
        "search": [(row.milliseconds, row.accuracy) for row in rows],
        "one exit for all": [(row.alone_milliseconds, row.accuracy) for row in found.exits],
    }
    leave = [(f"{row.budget / 1e6:.3g}", row.leave) for row in rows]
    title = f"{found.net}: prediction under a budget"
    drawn = {
        "budgets.svg": accuracy_svg(title, "M MACs an image", macs, leave).encode(),
        "budgets-time.svg": accuracy_svg(title, "ms an image", times).encode(),
        "leaving.png": _leaving(found, trained),
    }
    for name, content in drawn.items():
        write_atomically(folder / name, content)
    say("eval", f"wrote {', '.join(str(folder / name) for name in drawn)}")


def _leaving(found: "Anytime", trained: "Trained") -> bytes:
    from archc.anytime.pictures import grid_png

    return grid_png(trained.data, found.split, [found.order[:SHOWN], found.order[-SHOWN:]])

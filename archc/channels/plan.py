"""Which channels of which batch norms are kept: a plan, its file, and plans one after the other."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any

from archc.channels.analysis import norms_of
from archc.channels.masks import every, mask_of, members, read, written
from archc.diagnostics import ArchError, did_you_mean, error
from archc.ir.graph import Graph, Path


@dataclass(frozen=True)
class Plan:
    """The channels that are kept of each norm, by its path, and how many it had; others keep all.

    With `shifted`, the shifts of the channels that go stay as they are, and what they add is kept
    in weights. `notes` say where the plan is from.
    """

    kept: Mapping[str, int]
    widths: Mapping[str, int]
    shifted: bool = False
    notes: Mapping[str, Any] = field(default_factory=dict)
    source: str = "the plan"

    def dropped(self, graph: Graph) -> dict[Path, int]:
        """The channels of a graph's norms that go. Raises ArchError where the plan does not fit."""
        widths = {
            ".".join(node.layer.path): node.type.channels
            for node in norms_of(graph)
            if node.layer.path
        }
        for name, width in self.widths.items():
            if name not in widths:
                raise self._misfit(f"`{graph.name}` has no batch norm `{name}`", name, widths)
            if widths[name] != width:
                what = f"`{name}` has {widths[name]} channels, not {width}"
                raise self._misfit(what, name, {})
        return {
            tuple(name.split(".")): every(width) & ~self.kept[name]
            for name, width in self.widths.items()
        }

    def _misfit(self, what: str, name: str, names: Mapping[str, int]) -> ArchError:
        help = did_you_mean(name, names) or "a plan belongs to one net, with its arguments"
        return error("E0841", f"{what}: {self.source} is for another net", help=help)

    def after(self, first: "Plan") -> "Plan":
        """One plan for the net that `first` was made for, of this one for what that left of it."""
        kept = dict(first.kept)
        for name, mask in self.kept.items():
            before = members(first.kept.get(name, every(self.widths[name])))
            kept[name] = mask_of(before[channel] for channel in members(mask))
        widths = {**self.widths, **first.widths}
        return Plan(kept, widths, self.shifted or first.shifted, self.notes, self.source)

    def text(self) -> str:
        """The plan as its file has it."""
        norms = {
            name: {"kept": written(self.kept[name]), "of": width}
            for name, width in self.widths.items()
        }
        import yaml

        content = {**self.notes, "fold_shift": self.shifted, "norms": norms}
        return yaml.safe_dump(content, sort_keys=False, width=1 << 16)


_HELP = (
    'a plan is what `archc slim` writes; a mask is JSON, `{"features.norm1": [1, 0, 1]}`, with a '
    "number for each channel of a batch norm"
)
_MOST = 1 << 26


def read_plan(file: File) -> Plan:
    """The plan or mask in a file. Raises ArchError."""
    try:
        if file.stat().st_size > _MOST:
            raise error("E0842", f"`{file}` is no plan: it is too large", help=_HELP)
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise error("E0842", f"the plan `{file}` cannot be read: {problem}", help=_HELP) from None
    return parse_plan(text, f"`{file}`")


def parse_plan(text: str, source: str = "the plan") -> Plan:
    """The plan or mask that a text is. Raises ArchError."""
    import yaml  # here: every run of the compiler imports this file, and few read a plan

    try:
        content = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
        return _plan(content, source)
    except (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError, RecursionError):
        raise error("E0842", f"{source} is no plan and no mask", help=_HELP) from None


def _plan(content: Any, source: str) -> Plan:
    if "norms" not in content:
        masks = {str(name): [(0, 1).index(bit) for bit in mask] for name, mask in content.items()}
        kept = {name: mask_of(i for i, bit in enumerate(m) if bit) for name, m in masks.items()}
        return Plan(kept, {name: len(mask) for name, mask in masks.items()}, source=source)
    widths = {str(name): int(each["of"]) for name, each in content["norms"].items()}
    kept = {str(name): read(each["kept"]) for name, each in content["norms"].items()}
    if any(not 0 < width < 1 << 20 or kept[name] >> width for name, width in widths.items()):
        raise ValueError
    notes = {name: value for name, value in content.items() if name not in ("norms", "fold_shift")}
    return Plan(kept, widths, bool(content.get("fold_shift", False)), notes, source)

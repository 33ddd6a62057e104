"""Names in the state_dict: the label, else the variable, else the operator's name and a counter.

Keys are API: nothing is mangled, and what cannot be an attribute of a module is refused.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from archc.diagnostics import Fix, Label, Span, error
from archc.elaborate.frame import Frame, Site
from archc.elaborate.loops import Loop, numbered
from archc.elaborate.values import MadeLayer, Tag
from archc.ir.graph import Path, Region
from archc.ir.names import RESERVED
from archc.syntax.edits import inserted, is_stage, replaced

Help = tuple[str, Fix]

_GROWN = "begin a list before the loop, and let it grow"
_LABEL = re.compile(r"[!#-&(-\-/-\[\]-z|~]{1,64}")
"""What PyTorch takes as a key, but spaces, and what would end a string or make a hole in one."""


@dataclass
class Register:
    """The attribute names taken in each region, and the counters behind made-up names."""

    taken: dict[int, dict[str, Span]] = field(default_factory=dict)
    lists: set[tuple[int, str]] = field(default_factory=set)
    scopes: set[tuple[int, str]] = field(default_factory=set)
    counters: dict[tuple[int, str], int] = field(default_factory=dict)
    counted: list[MadeLayer] = field(default_factory=list)

    def name_layer(self, made: MadeLayer, site: Site) -> Path:
        """The layer's place below its owner, decided once, at its first application."""
        loops = site.frame.loops_within(made.owner)
        if site.label is not None:
            return self._take(made.owner, (site.label.text,), site.label.span, loops)
        if made.variable is not None:
            return self._take_variable(made, made.variable, site.span, loops)
        word = made.name.lower()
        count = self.counters.get((made.owner.id, word), 0) + 1
        self.counters[made.owner.id, word] = count
        self.counted.append(made)
        return self._take(made.owner, (f"{word}{count}",), site.span)

    def _take(
        self,
        owner: Region,
        path: Path,
        span: Span,
        loops: Sequence[Loop] = (),
        mend: Help | None = None,
    ) -> Path:
        """Reserve an attribute name (and an index in a list of layers) in a region.

        `loops` are those in whose turns the region gets its layers.
        """
        check_label(path[0], span)
        taken = self.taken.setdefault(owner.id, {})
        if len(path) == 2:
            self._take_element(owner, path, span, loops)
            return owner.path + path
        (name,) = path
        if name in taken:
            same = taken[name] == span
            help, fix = mend or _apart(span, name, loops, taken)
            raise error(
                "E0402",
                f"two layers of one module are called `{name}`",
                Label(span, "both made here" if same else "again here"),
                *([] if same else [Label(taken[name], "first here")]),
                help=help,
                fix=fix,
            )
        taken[name] = span
        return owner.path + path

    def _take_variable(
        self, made: MadeLayer, variable: Path, span: Span, loops: Sequence[Loop]
    ) -> Path:
        """The name of the variable to which a layer was bound first."""
        name = variable[0]
        mend: Help | None = None
        if not loops:
            mend = ("bind one of them to another name", ())
        elif len(variable) == 1:
            label = numbered(name, name, loops, self.taken.get(made.owner.id, {}))
            help = f"{_GROWN}: `{name}s = []`, then `{name}s += [{made.span.text}]`"
            fix: Fix = ()
            if label is not None and is_stage(span):  # else it has no place for a label
                help = f"write `-> {label}: {name}`; or {help}"
                fix = inserted(span, f"{label}: ")
            mend = (help, fix)
        return self._take(made.owner, variable, made.span, loops, mend)

    def take_scope(self, tag: Tag, frame: Frame) -> Path:
        """Reserve the name of a scope, which is opened once in a region."""
        owner, label, span = frame.region, tag.text, tag.span
        loops = frame.loops_within(owner)
        if (owner.id, label) in self.scopes:
            taken = self.taken[owner.id]
            help, fix = _apart(span, label, loops, taken)
            if not loops:
                help = "put all its layers into one `scope { }`, or rename one of the two"
            same = taken[label] == span
            raise error(
                "E0409",
                f"the scope `{label}` is opened twice",
                Label(span, "in each turn of the loop" if same else "again here"),
                *([] if same else [Label(taken[label], "first here")]),
                help=help,
                fix=fix,
            )
        path = self._take(owner, (label,), span, loops)
        self.scopes.add((owner.id, label))
        return path

    def _take_element(self, owner: Region, path: Path, span: Span, loops: Sequence[Loop]) -> None:
        name, index = path
        taken = self.taken.setdefault(owner.id, {})
        if name in taken and (owner.id, name) not in self.lists:
            raise error(
                "E0402",
                f"a list of layers and a layer are both called `{name}`",
                Label(span, "the list"),
                Label(taken[name], "the layer"),
                help="rename one of them",
            )
        self.lists.add((owner.id, name))
        taken.setdefault(name, span)
        element = f"{name}.{index}"
        if element in taken:
            raise error(
                "E0402",
                f"two layers are called `{element}`",
                Label(span, "again here"),
                Label(taken[element], "first here"),
                help=f"{_GROWN}: `{name} += [...]`"
                if loops
                else "give the second list another name",
            )
        taken[element] = span


def _apart(span: Span, name: str, loops: Sequence[Loop], taken: Mapping[str, Span]) -> Help:
    """Another label for the second of two; in a loop, one that differs in each turn."""
    free = name if taken[name] == span else _free(name, taken)
    if not loops:
        return "give one of them another label", _relabelled(span, name, free)
    label = numbered(free, span.text, loops, taken)
    if label is None:
        return (
            "label them apart by what differs in each turn: `for i, x in enumerate(xs)` counts",
            (),
        )
    return f"label them apart: `{label}`", replaced(span, label)


def _free(name: str, taken: Mapping[str, Span]) -> str:
    """`norm2`, or the next number that is free."""
    return next(f"{name}{i}" for i in itertools.count(2) if f"{name}{i}" not in taken)


def check_label(label: str, span: Span) -> None:
    """Refuse what cannot be an attribute of an nn.Module."""
    if not _LABEL.fullmatch(label):
        plain = re.sub(r"[^A-Za-z0-9_]", "_", label)
        help = "labels are 1 to 64 letters, digits and signs, but no spaces, quotes, braces or `\\`"
        if "." in label:
            help += "; for a dot, open a `scope` of that name"
        fix = _relabelled(span, label, plain) if 1 <= len(label) <= 64 else ()
        raise error("E0401", f"`{label}` cannot be a label", span, help=help, fix=fix)
    of_modules, of_python = label in RESERVED, label.startswith("__")
    if of_modules or of_python:
        free = f"{label.strip('_') if of_python else label}_"
        what = "is an attribute of every module, so it cannot be a label"
        raise error(
            "E0403" if of_modules else "E0404",
            f"`{label}` {what}" if of_modules else f"`{label}` begins as Python's own names do",
            span,
            help=f"choose another name, say `{free}`",
            fix=_relabelled(span, label, free),
        )


def _relabelled(span: Span, label: str, name: str) -> Fix:
    """Another label in the place of one that is written as it is, without holes."""
    if span.text.strip('"') != label:
        return ()
    return replaced(span, span.text.replace(label, name))

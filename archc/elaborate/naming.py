"""Names in the state_dict: the label, else the variable, else the operator's name and a counter.

Keys are API: nothing is mangled, and what cannot be an attribute of a module is refused.
"""

import itertools
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from archc.diagnostics import Fix, Label, Span, error
from archc.elaborate.values import MadeLayer, Tag
from archc.ir.graph import Path, Region
from archc.ir.names import RESERVED
from archc.syntax.edits import replaced

_LABEL = re.compile(r"[A-Za-z0-9_]{1,64}")


@dataclass
class Register:
    """The attribute names taken in each region, and the counters behind made-up names."""

    taken: dict[int, dict[str, Span]] = field(default_factory=dict)
    lists: set[tuple[int, str]] = field(default_factory=set)
    scopes: set[tuple[int, str]] = field(default_factory=set)
    counters: dict[tuple[int, str], int] = field(default_factory=dict)
    counted: list[MadeLayer] = field(default_factory=list)

    def name_layer(self, made: MadeLayer, label: Tag | None, span: Span) -> Path:
        """The layer's place below its owner, decided once, at its first application."""
        if label is not None:
            return self.take(made.owner, (label.text,), label.span)
        if made.variable is not None:
            return self.take(made.owner, made.variable, made.span, bound=True)
        word = made.name.lower()
        count = self.counters.get((made.owner.id, word), 0) + 1
        self.counters[made.owner.id, word] = count
        self.counted.append(made)
        return self.take(made.owner, (f"{word}{count}",), span)

    def take(self, owner: Region, path: Path, span: Span, *, bound: bool = False) -> Path:
        """Reserve an attribute name (and an index in a list of layers) in a region."""
        check_label(path[0], span)
        taken = self.taken.setdefault(owner.id, {})
        if len(path) == 2:
            self._take_element(owner, path, span)
            return owner.path + path
        (name,) = path
        if name in taken:
            same = taken[name] == span
            labels = [Label(span, "both made here" if same else "again here")]
            raise error(
                "E0402",
                f"two layers of one module are called `{name}`",
                *labels,
                *([] if same else [Label(taken[name], "first here")]),
                help=f'label them apart, as in `-> "{name}{{i}}": ...`, or make a list of layers'
                if bound
                else "give one of them another label",
                fix=() if same else _relabelled(span, name, _free(name, taken)),
            )
        taken[name] = span
        return owner.path + path

    def take_scope(self, owner: Region, label: str, span: Span) -> Path:
        """Reserve the name of a scope, which is opened once in a region."""
        if (owner.id, label) in self.scopes:
            raise error(
                "E0409",
                f"the scope `{label}` is opened twice",
                Label(span, "again here"),
                Label(self.taken[owner.id][label], "first here"),
                help="put all its layers into one `scope { }`, or rename one of the two",
                fix=_relabelled(span, label, _free(label, self.taken[owner.id])),
            )
        self.scopes.add((owner.id, label))
        return self.take(owner, (label,), span)

    def _take_element(self, owner: Region, path: Path, span: Span) -> None:
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
                help="give the second list another name",
            )
        taken[element] = span


def _free(name: str, taken: Mapping[str, Span]) -> str:
    """`norm2`, or the next number that is free."""
    return next(f"{name}{i}" for i in itertools.count(2) if f"{name}{i}" not in taken)


def check_label(label: str, span: Span) -> None:
    """Refuse what cannot be an attribute of an nn.Module."""
    if not _LABEL.fullmatch(label):
        plain = re.sub(r"[^A-Za-z0-9_]", "_", label)
        help = "labels are 1 to 64 letters, digits and underscores"
        if "." in label:
            help += "; for a dot, open a `scope` of that name"
        fix = _relabelled(span, label, plain) if 1 <= len(label) <= 64 else ()
        raise error("E0401", f"`{label}` cannot be a label", span, help=help, fix=fix)
    if label in RESERVED:
        raise error(
            "E0403",
            f"`{label}` is an attribute of every module, so it cannot be a label",
            span,
            help=f"choose another name, say `{label}_`",
            fix=_relabelled(span, label, f"{label}_"),
        )
    if keyword.iskeyword(label) or (label.startswith("__")):
        raise error(
            "E0404",
            f"`{label}` cannot be an attribute in Python",
            span,
            help=f"choose another name, say `{label.strip('_')}_`",
            fix=_relabelled(span, label, f"{label.strip('_')}_"),
        )


def _relabelled(span: Span, label: str, name: str) -> Fix:
    """Another label in the place of one that is written as it is, without holes."""
    if span.text.strip('"') != label:
        return ()
    return replaced(span, span.text.replace(label, name))

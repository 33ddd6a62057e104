"""The names and circumstances under which a statement is evaluated."""

from collections.abc import Set
from dataclasses import dataclass, field

from archc.diagnostics import ArchError, Span, error
from archc.elaborate.builtins import BUILTINS
from archc.elaborate.files import Declared, FileScope
from archc.elaborate.loops import Loop
from archc.elaborate.pytorch.certainty import certainty
from archc.elaborate.pytorch.translation import Use, translation
from archc.elaborate.values import (
    BlockConstructor,
    Datum,
    ExternConstructor,
    MadeLayer,
    OpConstructor,
    Poison,
    Poisoned,
    Tag,
    Unbound,
    show,
)
from archc.ir.annotations import Annotation
from archc.ir.graph import Path, Region
from archc.ops.op import Op
from archc.ops.registry import OPS, operator
from archc.plugins import PluginError
from archc.syntax import ast


@dataclass(frozen=True)
class Frame:
    """Where a statement stands in one application of a block (or the net itself), and what for.

    All frames of one application share its variables, which are `bind`-ed; `scope { }` changes the
    region, and a block has frames of its own. `loops` are the loops around the statement, of which
    the first `outside` are around the region, too.
    """

    file: FileScope
    region: Region
    names: dict[str, Datum] = field(default_factory=dict)
    loops: tuple[Loop, ...] = ()
    outside: int = 0
    depth: int = 0
    hint: tuple[str, ...] = ()
    """What is computed is called so."""
    annotations: tuple[Annotation, ...] = ()
    assigned: ast.Expr | None = None
    """The right side of the assignment that is being executed: `g = param([8])` is called g."""
    first: int = 0
    """The place in its list of the first element of `assigned`: `xs += [x]` adds to the end."""

    def within(self, region: Region) -> "Frame":
        """The same variables in an inner region."""
        return self._with(region=region, outside=len(self.loops))

    def inside(self, loop: Loop) -> "Frame":
        return self._with(loops=(*self.loops, loop))

    def computing(self, *hint: str, assigned: ast.Expr | None = None, first: int = 0) -> "Frame":
        """The same for the values that get these names."""
        return self._with(hint=hint, assigned=assigned, first=first)

    def annotated(self, annotations: tuple[Annotation, ...]) -> "Frame":
        return self._with(annotations=annotations)

    def _with(self, **changes: object) -> "Frame":
        """The same with other fields: `dataclasses.replace`, in a third of its time, for every
        statement has a frame."""
        other = object.__new__(Frame)
        vars(other).update(vars(self), **changes)
        return other

    def bind(self, name: str, value: Datum) -> None:
        self.names[name] = value

    @property
    def own(self) -> set[str]:
        """The names that the spec binds itself."""
        return {*self.names, *self.file.names}

    def is_operator(self, name: str) -> bool:
        """Whether a name is that of an operator, which the spec does not bind itself."""
        return name in OPS and name not in self.names and name not in self.file.names

    @property
    def known(self) -> set[str]:
        """All names that have a value here."""
        return {*self.own, *OPS, *BUILTINS}

    def loops_within(self, owner: Region) -> tuple[Loop, ...]:
        """The loops in whose turns a region gets one layer after another."""
        return self.loops[self.outside :] if owner.id == self.region.id else self.loops

    @property
    def circumstances(self) -> str:
        """`, with l=0, s=1`: the loops around a statement."""
        bound = {name: value for loop in self.loops for name, value in loop.values.items()}
        values = ", ".join(f"{name}={show(value, 20)}" for name, value in bound.items())
        return f", with {values}" if values else ""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a layer is made or applied: under which names, in which text, with which label."""

    frame: Frame
    span: Span
    label: Tag | None = None


_NEVER = {False: "in a branch that was not taken", True: "in a loop that never ran"}


def find(name: ast.Name, frame: Frame) -> Datum | Declared:
    """The value of a variable, a declaration, an operator or a function; or the declaration of a
    constant, which the evaluator evaluates."""
    word = name.name
    if word in frame.names:
        return _variable(name, frame.names[word])
    if word in frame.file.names:
        declaration, home = frame.file.names[word]
        match declaration:
            case ast.Block():
                return BlockConstructor(declaration, home)
            case ast.Variant():
                return variant_constructor(declaration, home)
            case ast.ExternLayer():
                return ExternConstructor(declaration, home)
        return declaration
    if word in BUILTINS:  # some are operators of tensors, too: see calls.py
        return BUILTINS[word]
    if (op := operator_at(name)) is not None:
        return OpConstructor(op)
    raise unknown_name(Use(name, name), frame.known, frame.own)


def _variable(name: ast.Name, value: Datum) -> Datum:
    if isinstance(value, Poison):
        raise Poisoned
    if isinstance(value, Unbound):
        raise error(
            "E0302",
            f"`{name.name}` has no value here",
            name.span,
            notes=[f"it is bound at {value.branch}, {_NEVER[value.loop]}"],
            help=f"give `{name.name}` a value before the `{'for' if value.loop else 'if'}`",
        )
    return value


def operator_at(name: ast.Name) -> type[Op] | None:
    """The operator that a name stands for, unless something else hides it. Raises ArchError."""
    try:
        return operator(name.name)
    except PluginError as refusal:
        raise refusal.at(name.span) from None


def variant_constructor(variant: ast.Variant, home: FileScope) -> BlockConstructor:
    """The net that a variant stands for, with the variants' arguments still unevaluated."""
    seen = [variant.name.name]
    variants = [(variant, home)]
    while True:
        if variant.base.name not in home.names:
            nets = {name for name, (item, _) in home.names.items() if _is_net(item)}
            raise unknown_name(Use(variant.base, variant.base), nets, frozenset())
        base, base_home = home.names[variant.base.name]
        if isinstance(base, ast.Block) and base.is_net:
            return BlockConstructor(base, base_home, tuple(variants))
        if not isinstance(base, ast.Variant):
            raise error("E0307", f"`{variant.base.name}` is not a net", variant.base.span)
        if base.name.name in seen:
            raise error(
                "E0308", f"the net `{base.name.name}` is a variant of itself", base.name.span
            )
        seen.append(base.name.name)
        variant, home = base, base_home
        variants.append((variant, home))


def _is_net(declared: Declared) -> bool:
    return isinstance(declared, ast.Variant) or (
        isinstance(declared, ast.Block) and declared.is_net
    )


def unknown_name(use: Use, known: set[str], own: Set[str]) -> ArchError:
    """The error of a name that nothing binds, with what was meant; `own` names are the spec's."""
    help, fix = translation(use, known, own)
    message = f"unknown name `{use.place.text}`"
    certain, trial = certainty(use, fix, known)
    return error("E0301", message, use.place, help=help, fix=fix, certain=certain, trial=trial)


def trace(made: MadeLayer, path: Path, site: Site) -> str:
    """How an error inside a block got there: what was being built, where, in which loops."""
    arguments = [f"{name}={show(value, 16)}" for name, value in list(made.hyper.items())[:4]]
    if len(made.hyper) > 4:
        arguments.append("...")
    call = f"{made.name}({', '.join(arguments)})"
    return f"while building {path[-1]}: {call} at {site.span}{site.frame.circumstances}"

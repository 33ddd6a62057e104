"""Two graphs compared: state_dict keys, modules, shapes, operators, connections, costs.

Modules and layers of the same path are compared with each other. What a block or a variable is
called is no difference, nor is a hyperparameter by itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archc.analysis.alignment import Alignment, Wiring
from archc.analysis.module_tree import LayerSummary, ModuleSummary, RegionSummary
from archc.analysis.summary import Summary, figures, summarize
from archc.ir.annotations import Annotation
from archc.ir.dump import hyper_text
from archc.ir.graph import Graph, Path

SCHEMA = 1
"""The version of the JSON form; new keys do not change it, other meanings do."""


@dataclass(frozen=True, slots=True)
class StateKey:
    """An entry of a state_dict, with its shape in each net; None where it is absent."""

    name: str
    a: tuple[int, ...] | None
    b: tuple[int, ...] | None

    @property
    def kind(self) -> str:
        """`equal`, `reshaped`, `only_a` or `only_b`."""
        if self.a == self.b:
            return "equal"
        if self.a is None:
            return "only_b"
        return "only_a" if self.b is None else "reshaped"


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that is said of a whole net, with its text in each; None where it is absent."""

    name: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """A module or layer that is not the same in both nets; None where it is absent.

    `keys` are those that differ, at its path and below. `wiring` is what differs in its own inside,
    if both nets have it. `children` differ; the `position` among all its siblings tells which of
    them stand side by side.
    """

    path: Path
    a: ModuleSummary | None
    b: ModuleSummary | None
    keys: tuple[StateKey, ...]
    wiring: Wiring
    children: tuple["Change", ...]
    position: int

    def walk(self) -> Iterator["Change"]:
        """This change and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between the nets A and B. `keys` are all keys of both, equal ones included."""

    a: Summary
    b: Summary
    parameters: tuple[Setting, ...]
    interface: tuple[Setting, ...]
    """Inputs, outputs and annotations that differ."""
    keys: tuple[StateKey, ...]
    root: Change | None

    @property
    def equal(self) -> bool:
        """Whether the nets are the same, but for names that no weight and no output has."""
        return self.root is None and not self.interface

    def count(self, kind: str) -> int:
        """How many keys are of a kind."""
        return sum(key.kind == kind for key in self.keys)

    @property
    def loads(self) -> str:
        """Whether B takes a checkpoint of A: `strict`, only with `strict=False`, or `no`."""
        equal = self.count("equal")
        if equal == len(self.keys):
            return "strict"
        return "strict=False" if equal and not self.count("reshaped") else "no"


def compare(a: Graph, b: Graph) -> Difference:
    """The difference of two graphs."""
    sides, alignment = (_Side(a), _Side(b)), Alignment(a, b)
    names = dict.fromkeys(key for side in sides for key in side.keys)
    return Difference(
        sides[0].summary,
        sides[1].summary,
        _settings(_parameters(a), _parameters(b)),
        tuple(_interface(sides, alignment)),
        tuple(StateKey(name, sides[0].keys.get(name), sides[1].keys.get(name)) for name in names),
        _Modules(sides, alignment).compare(sides[0].summary.root, sides[1].summary.root),
    )


class _Side:
    """One of the two graphs, and what is asked of it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.summary = summarize(graph)
        self.keys: dict[str, tuple[int, ...]] = {}
        self.keys_of: dict[Path, list[str]] = {}
        for node, weights in graph.weights():
            assert node.layer.path is not None
            for weight in weights:
                key = ".".join((*node.layer.path, weight.name) if weight.name else node.layer.path)
                self.keys[key] = weight.shape
                self.keys_of.setdefault(node.layer.path, []).append(key)

    def inputs(self) -> dict[str, str]:
        """The texts of the inputs, by their names."""
        return {f"input {name}": str(type_) for name, type_ in self.summary.inputs}

    def outputs(self) -> dict[str, str]:
        """The texts of the outputs, by their names."""
        return {f"output {item.name}": str(item.type) for item in self.summary.exits}

    def annotations(self) -> dict[str, str]:
        """The texts of the annotations, by their names."""
        return {f"@{item.name}": _text(item) for item in self.graph.info.annotations}


def _interface(sides: tuple[_Side, _Side], alignment: Alignment) -> Iterator[Setting]:
    """What differs of inputs, outputs and annotations.

    Of one value that both nets give under other names, as `return` and as an exit, it is said once.
    """
    a, b = sides
    yield from _settings(a.inputs(), b.inputs())
    outputs = a.outputs(), b.outputs()
    for one, other in alignment.renamed_outputs():
        texts = (
            text.pop(f"output {name}") for text, name in zip(outputs, (one, other), strict=True)
        )
        yield Setting("output", *map(_output, (one, other), texts))
    yield from _settings(*outputs)
    yield from _settings(a.annotations(), b.annotations())


def _output(name: str, text: str) -> str:
    """An output as the spec has it: `return [10]`, or `exit early [10]`."""
    returned = name == "return" or name.startswith("return[")
    return f"{name} {text}" if returned else f"exit {name} {text}"


def _parameters(graph: Graph) -> dict[str, str]:
    return {name: hyper_text(value) for name, value in graph.info.parameters}


def _text(annotation: Annotation) -> str:
    arguments = (
        hyper_text(value) if name is None else f"{name}={hyper_text(value)}"
        for name, value in annotation.arguments
    )
    return f"({', '.join(arguments)})"


def _settings(a: dict[str, str], b: dict[str, str]) -> tuple[Setting, ...]:
    names = dict.fromkeys((*a, *b))
    return tuple(Setting(n, a.get(n), b.get(n)) for n in names if a.get(n) != b.get(n))


# ------------------------------------------------------------------ modules


class _Modules:
    """Compares what stands at each path of two nets."""

    def __init__(self, sides: tuple[_Side, _Side], alignment: Alignment) -> None:
        self.sides = sides
        self.alignment = alignment
        self.wirings = alignment.wirings()

    def compare(
        self, a: ModuleSummary | None, b: ModuleSummary | None, position: int = 0
    ) -> Change | None:
        """The change of what stands at one path; None if it is the same in both nets."""
        present = a or b
        assert present is not None
        children = tuple(self._inside(a, b))
        own = _own_keys(self.sides, present.path)
        keys = (*own, *(key for child in children for key in child.keys))
        wiring = self._wiring(present.path) if a is not None and b is not None else Wiring()
        if not (children or own or wiring.functions or wiring.readers) and _same(a, b):
            return None
        return Change(present.path, a, b, keys, wiring, children, position)

    def _inside(self, a: ModuleSummary | None, b: ModuleSummary | None) -> Iterator[Change]:
        kept = (names.kept for names in self.alignment.sides)
        one, other = (_children(child, paths) for child, paths in zip((a, b), kept, strict=True))
        for i, name in enumerate(_merged(list(one), list(other))):
            child = self.compare(one.get(name), other.get(name), i)
            if child is not None:
                yield child

    def _wiring(self, path: Path) -> Wiring:
        """What differs inside of a module; of one that is a layer in A or B, its functions."""
        return self.wirings.get(path) or Wiring(self.alignment.functions(path))


def _children(child: ModuleSummary | None, kept: frozenset[Path]) -> dict[str, ModuleSummary]:
    """The modules directly in a module, and its layers that are `kept`: functions are no such."""
    if not isinstance(child, RegionSummary):
        return {}
    return {
        item.path[-1]: item
        for item in child.children
        if isinstance(item, RegionSummary) or item.path in kept
    }


def _merged(a: Sequence[str], b: Sequence[str]) -> list[str]:
    """The names of both, in the order of A; those that only B has behind the one before them."""
    known = set(a)
    if known.isdisjoint(b):
        return [*a, *b]
    behind: dict[str, list[str]] = {}
    before = ""
    for name in b:
        if name in known:
            before = name
        else:
            behind.setdefault(before, []).append(name)
    return [found for name in ("", *a) for found in ([name] if name else []) + behind.get(name, [])]


def _own_keys(sides: tuple[_Side, _Side], path: Path) -> tuple[StateKey, ...]:
    names = dict.fromkeys(key for side in sides for key in side.keys_of.get(path, ()))
    keys = (StateKey(name, sides[0].keys.get(name), sides[1].keys.get(name)) for name in names)
    return tuple(key for key in keys if key.kind != "equal")


def _same(a: ModuleSummary | None, b: ModuleSummary | None) -> bool:
    """Whether two layers, or two modules from outside, look the same."""
    if isinstance(a, LayerSummary) and isinstance(b, LayerSummary):
        return (a.op, a.type, a.applications) == (b.op, b.type, b.applications)
    if isinstance(a, RegionSummary) and isinstance(b, RegionSummary):
        return a.types == b.types
    return False


# --------------------------------------------------------------------- JSON


def to_json(difference: Difference) -> dict[str, object]:
    """The difference as JSON values: totals, all keys that differ, all modules that differ."""
    keys: dict[str, list[dict[str, object]]] = {"only_a": [], "only_b": [], "reshaped": []}
    for key in difference.keys:
        if key.kind != "equal":
            keys[key.kind].append({"key": key.name, "a": key.a, "b": key.b})
    root = difference.root
    return {
        "schema": SCHEMA,
        "equal": difference.equal,
        "loads": difference.loads,
        "a": _net_json(difference.a),
        "b": _net_json(difference.b),
        "parameters": [_setting_json(setting) for setting in difference.parameters],
        "interface": [_setting_json(setting) for setting in difference.interface],
        "equal_keys": difference.count("equal"),
        "keys": keys,
        "modules": [_change_json(change) for change in root.walk()] if root else [],
    }


def _net_json(summary: Summary) -> dict[str, object]:
    return {"name": summary.name, **figures(summary.cost)}


def _setting_json(setting: Setting) -> dict[str, object]:
    return {"name": setting.name, "a": setting.a, "b": setting.b}


def _change_json(change: Change) -> dict[str, object]:
    return {
        "path": ".".join(change.path),
        "a": None if change.a is None else _child_json(change.a),
        "b": None if change.b is None else _child_json(change.b),
        "functions": dict(change.wiring.functions),
        "rewired": bool(change.wiring.readers),
        "readers": list(change.wiring.readers),
    }


def _child_json(child: ModuleSummary) -> dict[str, object]:
    if isinstance(child, LayerSummary):
        return {"op": child.op, "outputs": [str(child.type)], **figures(child.cost)}
    outputs = [str(type_) for type_ in child.types]
    return {"block": child.block, "outputs": outputs, **figures(child.cost)}

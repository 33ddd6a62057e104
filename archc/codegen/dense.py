"""How a dense block lists its layers for the runtime: their norms and convolutions, in order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from archc.codegen.text import Bracketed, Code, generator, is_name, py
from archc.ir.graph import Graph, Node, Path
from archc.ir.sharing import DenseBlock


@dataclass(frozen=True, slots=True)
class ListedLayer:
    """A layer by its modules, below the block, and the rates of its dropouts (0: none).

    A rate that is not the same everywhere is the path of the attribute that has it. Beside each is
    the module that applies it.
    """

    modules: tuple[Path, ...]
    rates: tuple[float | Path, ...]
    scopes: tuple[Path, ...]

    @property
    def child(self) -> Path:
        """The one child that holds the whole layer; empty if there is none."""
        heads = {path[:-1] for path in self.modules}
        return heads.pop() if len(heads) == 1 else ()

    def chances(self, attribute: Callable[[Path], str]) -> tuple[str, ...]:
        """What follows the modules where there are dropouts: how probable each is, now."""
        if not any(self.rates):
            return ()
        gap = ("None",) * (4 - len(self.modules))
        pairs = zip(self.rates, self.scopes, strict=True)
        return (*gap, *(self._chance(rate, scope, attribute) for rate, scope in pairs))

    def _chance(self, rate: float | Path, scope: Path, attribute: Callable[[Path], str]) -> str:
        training = attribute((*scope, "training")) if scope else "self.training"
        if isinstance(rate, tuple):
            return f"{attribute(rate)} if {training} else 0.0"
        return f"{py(rate)} * {training}" if rate else "0.0"

    @property
    def rates_within(self) -> tuple[float | str | None, ...]:
        """Its rates as that child has them; None for those that something else has or applies."""
        pairs = zip(self.rates, self.scopes, strict=True)
        return tuple(self._within(rate, scope) for rate, scope in pairs)

    def _within(self, rate: float | Path, scope: Path) -> float | str | None:
        if not rate:
            return 0.0
        if scope != self.child:
            return None
        if isinstance(rate, tuple):
            return rate[-1] if rate[:-1] == self.child else None
        return rate

    @property
    def names(self) -> tuple[str, ...]:
        """Its modules as that child calls them."""
        return tuple(path[-1] for path in self.modules)


def listed_layers(
    graph: Graph, block: DenseBlock, rate: Callable[[Node], float | Path]
) -> list[ListedLayer]:
    """The layers of a block, in order; `rate` is what the class has for that of a dropout."""
    above = len(graph.regions[block.region].path)
    listed = []
    for layer in block.layers:
        nodes = [node for pair in zip(layer.norms, layer.convs, strict=True) for node in pair]
        paths = [graph.node(node).layer.path or () for node in nodes]
        rates = tuple(0.0 if node is None else rate(graph.node(node)) for node in layer.dropouts)
        scopes = tuple(_scope(graph, node)[above:] for node in layer.dropouts)
        listed.append(ListedLayer(tuple(path[above:] for path in paths), rates, scopes))
    return listed


def _scope(graph: Graph, dropout: int | None) -> Path:
    """The module in whose `forward` a dropout is written."""
    return () if dropout is None else graph.regions[graph.node(dropout).region].path


def layers_text(
    layers: Sequence[ListedLayer], children: str, receiver: Callable[[Path], str]
) -> Code:
    """`[(layer.norm1, layer.conv1) for layer in children]`, or one by one where layers differ.

    `children` is what a loop goes over, empty where there is nothing; `receiver` is how `forward`
    calls what lies below the block.
    """
    first = layers[0]
    alike = {(layer.names, layer.rates_within, bool(layer.child)) for layer in layers}
    inside = all(map(is_name, first.names)) and None not in first.rates_within
    if not children or len(alike) > 1 or not first.child or not inside:
        each = [(*map(receiver, x.modules), *x.chances(receiver)) for x in layers]
        return Bracketed("[", tuple(f"({', '.join(words)})" for words in each), "]")
    for word in ("layer", "m"):
        names = (f"{word}.{name}" for name in first.names)
        words = (*names, *first.chances(partial(_attribute_of, word)))
        code = generator("[", f"({', '.join(words)})", _clause(word, children), "]")
        if len(str(code)) <= _SHORT:
            break
    return code


def _attribute_of(word: str, path: Path) -> str:
    return f"{word}.{path[-1]}"


def _clause(word: str, children: str) -> Code:
    """`for layer in children`, which may break where they are named one by one."""
    if not children.startswith("("):
        return f"for {word} in {children}"
    return Bracketed(f"for {word} in (", tuple(children[1:-1].split(", ")), ")")


_SHORT = 79
"""What fits into one line as the value of `layers`."""

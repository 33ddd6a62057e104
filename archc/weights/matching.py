"""Which layer of a checkpoint is which of a net: by name, else by the order and the shapes.

What could be one layer as well as another is matched with none.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from archc.weights.layers import Form, KeyedLayer, in_counted_order, key, masked, modules_of

Pairs = dict[str, str]
"""Paths of the net's layers, and of those of the checkpoint that they are."""


def match(ours: Sequence[KeyedLayer], theirs: Sequence[KeyedLayer], *, ordered: bool) -> Pairs:
    """The pairs that are certain.

    Names count where all layers have them. Then the order does, if it is known (`ordered`) and one
    shape after the other is the same. Then names where whole rows of numbered modules have them,
    and what is left is matched by modules: of those with the same layers there has to be one on
    either side, or they have to be numbered on both.
    """
    named = _by_name(ours, theirs)
    if len(named) == len(ours):
        return named
    mine, other = _with_forms_of(ours, theirs), _with_forms_of(theirs, ours)
    if ordered and [layer.form for layer in mine] == [layer.form for layer in other]:
        return {a.path: b.path for a, b in zip(mine, other, strict=True)}
    found = {path: path for path in _trusted(ours, theirs, named)}
    return _by_modules(mine, other, ordered, found)


def _by_name(ours: Sequence[KeyedLayer], theirs: Sequence[KeyedLayer]) -> Pairs:
    forms = {layer.path: layer.form for layer in theirs}
    return {each.path: each.path for each in ours if forms.get(each.path) == each.form}


def _with_forms_of(layers: Sequence[KeyedLayer], others: Sequence[KeyedLayer]) -> list[KeyedLayer]:
    """The layers that may be one of the others."""
    forms = {layer.form for layer in others}
    return [layer for layer in layers if layer.form in forms]


def _trusted(
    ours: Sequence[KeyedLayer], theirs: Sequence[KeyedLayer], named: Pairs
) -> Iterator[str]:
    """Equal paths whose numbers count the same: in either net the same siblings are numbered."""
    mine, other = _rows(ours), _rows(theirs)
    for path in named:
        parts = path.split(".")
        rows = [(".".join(parts[:i]), masked(part)) for i, part in enumerate(parts)]
        if all(mine[row] == other[row] for row in rows if "#" in row[1]):
            yield path


def _rows(layers: Sequence[KeyedLayer]) -> Mapping[tuple[str, str], set[str]]:
    """The names of numbered modules by the module around them and what they have in common."""
    rows: dict[tuple[str, str], set[str]] = defaultdict(set)
    for layer in layers:
        parts = layer.path.split(".")
        for i, part in enumerate(parts):
            rows[".".join(parts[:i]), masked(part)].add(part)
    return rows


LayersByPath = dict[str, tuple[KeyedLayer, ...]]


def _by_modules(
    ours: Sequence[KeyedLayer], theirs: Sequence[KeyedLayer], ordered: bool, found: Pairs
) -> Pairs:
    """`found` and the pairs of modules with the same layers of which none is found before, the
    largest first, until there are no more."""
    found = dict(found)
    while True:
        mine = _classes(ours, ordered, set(found))
        other = _classes(theirs, ordered, set(found.values()))
        common = sorted(mine.keys() & other.keys(), key=len, reverse=True)
        new = next(filter(None, (_pairs(mine[each], other[each], ordered) for each in common)), {})
        if not new:
            return found
        found |= new


def _classes(
    layers: Sequence[KeyedLayer], ordered: bool, taken: set[str]
) -> dict[tuple[Form, ...], LayersByPath]:
    """The modules by the forms of their layers: in order, or if that is not known, sorted."""
    classes: dict[tuple[Form, ...], LayersByPath] = defaultdict(dict)
    for path, content in modules_of(layers):
        if not any(layer.path in taken for layer in content):
            forms = [layer.form for layer in content]
            classes[tuple(forms if ordered else sorted(forms))][path] = content
    return classes


def _pairs(mine: LayersByPath, other: LayersByPath, ordered: bool) -> Pairs:
    """The layers of modules that all have the same ones, as far as it is certain which is which."""
    if len(mine) != len(other):
        return {}
    if len(mine) > 1 and any(len(set(map(masked, paths))) > 1 for paths in (mine, other)):
        return {}
    found: Pairs = {}
    for a, b in zip(in_counted_order(mine), in_counted_order(other), strict=True):
        if ordered or len(mine[a]) == 1:
            found |= {x.path: y.path for x, y in zip(mine[a], other[b], strict=True)}
        else:
            found |= _inside(mine[a], a, other[b], b)
    return found


def _inside(mine: Sequence[KeyedLayer], a: str, other: Sequence[KeyedLayer], b: str) -> Pairs:
    """The pairs in one module of either net, of layers whose order is not known."""
    within = [
        [KeyedLayer(each.path.removeprefix(path).removeprefix("."), each.shapes) for each in layers]
        for path, layers in ((a, mine), (b, other))
    ]
    pairs = _by_modules(within[0], within[1], False, {})
    return {key(a, x) if x else a: key(b, y) if y else b for x, y in pairs.items()}

"""The layers in a state_dict: keys with one prefix, their names, shapes and order."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

Sizes = tuple[int, ...]
Form = tuple[tuple[str, Sizes], ...]

COUNTER = "num_batches_tracked"
"""Of a batch norm; files from before it was there do without."""


@dataclass(frozen=True)
class KeyedLayer:
    """The prefix of some keys, and the shapes of their weights by name; counters are left out."""

    path: str
    shapes: Mapping[str, Sizes]

    @cached_property
    def form(self) -> Form:
        """Equal for layers that can have one another's weights: a 1x1 convolution's are those of a
        linear layer, as axes of size 1 at the end say nothing."""
        return tuple(sorted((name, _trimmed(shape)) for name, shape in self.shapes.items()))

    @property
    def flat(self) -> Form:
        """The form of the linear layer that computes what a convolution over its whole input does;
        axes are in one order."""
        return tuple((name, _flattened(shape)) for name, shape in self.form)


def _trimmed(shape: Sizes) -> Sizes:
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _flattened(shape: Sizes) -> Sizes:
    width = 1
    for size in shape[1:]:
        width *= size
    return (shape[0], width) if len(shape) > 1 else shape


def layers_of(shapes: Mapping[str, Sizes]) -> list[KeyedLayer]:
    """The layers of a state_dict, in the order of their first keys."""
    found: dict[str, dict[str, Sizes]] = defaultdict(dict)
    for key, shape in shapes.items():
        path, _, name = key.rpartition(".")
        if name != COUNTER:
            found[path][name] = shape
    return [KeyedLayer(path, weights) for path, weights in found.items()]


def key(path: str, name: str) -> str:
    """The key of a layer's weight."""
    return f"{path}.{name}" if path else name


def modules_of(layers: Sequence[KeyedLayer]) -> Iterator[tuple[str, tuple[KeyedLayer, ...]]]:
    """The modules around some layers with those in each, layers included; of modules around the
    same layers only the outermost."""
    inside: dict[str, list[KeyedLayer]] = defaultdict(list)
    for layer in layers:
        parts = layer.path.split(".")
        for length in range(1, len(parts) + 1):
            inside[".".join(parts[:length])].append(layer)
    seen: set[tuple[str, ...]] = set()
    for path, content in inside.items():
        paths = tuple(layer.path for layer in content)
        if paths not in seen:
            seen.add(paths)
            yield path, tuple(content)


def masked(path: str) -> str:
    """A path with `#` for each number: what numbered siblings have in common."""
    return re.sub(r"\d+", "#", path)


def in_counted_order(paths: Iterable[str]) -> list[str]:
    """Paths by the numbers in them: `layer2` before `layer10`."""
    return sorted(paths, key=lambda path: [int(number) for number in re.findall(r"\d+", path)])

"""From a compile request to a net that takes a data set's images, or to what hinders it.

What the user set stays as it is. Otherwise the net's own parameters follow the data (`classes`,
and `size` where it is the side of the input), and its constructor's `in_chans`; images are enlarged
to an input of another size, and repeated along channels that cannot be changed.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from archc.api import Model
from archc.compiler import Request, compile_spec
from archc.diagnostics import ArchError, Span, error
from archc.train.data import Dataset

if TYPE_CHECKING:
    from archc.ir.graph import Node

LARGEST_SYMBOL = 1024
"""Symbolic sizes are tried up to here."""


@dataclass(frozen=True)
class Fitted:
    """A compiled net, and what an image must become before the net takes it.

    `channels` is what an instance takes (its `in_chans`), `size` are the height and width; `exits`
    names the net's results in order.
    """

    model: Model
    in_chans: int | None
    channels: int
    size: tuple[int, int]
    exits: tuple[str, ...]

    def build(self) -> nn.Module:
        """A new instance, initialised from torch's global random numbers."""
        if self.in_chans is None:
            return self.model.build()
        return self.model.build(in_chans=self.in_chans)

    def adapt(self, images: Tensor) -> Tensor:
        """[N, channels, height, width] of the data to that of the net."""
        if images.shape[2:] != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", antialias=True)
        return images.expand(-1, self.channels, -1, -1)


def fit(request: Request, data: Dataset) -> Fitted:
    """Compile a net for a data set. Raises ArchError if it is wrong, or cannot take the data."""
    model = _compile(request, data)
    _check_inputs(model, data)
    _check_outputs(model, data, request)
    in_chans = _in_chans(model, data)
    (image,) = model.graph.inputs()
    channels = image.type.channels if in_chans is None else in_chans
    if data.channels not in (1, channels):
        raise _refusal(model, data, f"takes {image.type}", image.span)
    names = model.graph.output_names()
    return Fitted(model, in_chans, channels, _size(model, data), names)


def _compile(request: Request, data: Dataset) -> Model:
    """The net with the parameters that suit the data; as declared where it refuses them."""
    declared = Model(compile_spec(request))
    for settings in _suitable_settings(declared, request, data):
        try:
            suited = Model(
                compile_spec(replace(request, arguments={**request.arguments, **settings}))
            )
        except ArchError:
            continue
        sides = {side for image in suited.graph.inputs() for side in image.type.spatial}
        if "size" not in settings or sides == {data.size}:
            return suited
    return declared


def _suitable_settings(model: Model, request: Request, data: Dataset) -> Iterator[dict[str, str]]:
    """What to try, the best first: only parameters that are whole numbers and were not set."""
    free = {name for name, value in model.graph.info.parameters if type(value) is int}
    free -= request.arguments.keys()
    wanted = {"classes": data.classes, "size": data.size}
    settings = {name: str(value) for name, value in wanted.items() if name in free}
    yield settings
    yield {name: value for name, value in settings.items() if name != "size"}


def _check_inputs(model: Model, data: Dataset) -> None:
    first, *others = model.graph.inputs()
    if others:
        raise _refusal(model, data, f"takes {1 + len(others)} tensors", others[0].span)
    if first.type.rank != 2:
        raise _refusal(model, data, f"takes {first.type}", first.span)


def _check_outputs(model: Model, data: Dataset, request: Request) -> None:
    graph = model.graph
    for output in graph.outputs:
        result = graph.node(output.node).type
        if result.shape == (data.classes,):
            continue
        help = "let the net end in `linear(classes)`, where `classes` is its parameter"
        if "classes" in request.arguments:
            help = "leave `classes` unset: it follows the data"
        raise _refusal(model, data, f"gives {result}", output.span, help)


def _refusal(
    model: Model, data: Dataset, what: str, span: Span, help: str | None = None
) -> ArchError:
    has = f"`{data.name}` has images [{data.channels}, {data.size}, {data.size}]"
    return error(
        "E1004",
        f"`{model.graph.name}` cannot be trained on `{data.name}`: it {what}",
        span,
        notes=[f"{has} of {data.classes} classes"],
        help=help,
    )


def _in_chans(model: Model, data: Dataset) -> int | None:
    """The constructor's argument, where it is needed and the emitted net has it."""
    (image,) = model.graph.inputs()
    if image.type.channels == data.channels:
        return None
    arguments = inspect.signature(type(model.build())).parameters
    return data.channels if "in_chans" in arguments else None


def _size(model: Model, data: Dataset) -> tuple[int, int]:
    """Height and width in pixels: as declared, or the least that suit.

    A symbol in the input's size is given the least value for which the input is not smaller than
    the data and no tensor of the net is empty.
    """
    (image,) = model.graph.inputs()
    if all(isinstance(side, int) for side in image.type.spatial):
        height, width = _sides(image, 1)
        return height, width
    for value in range(1, LARGEST_SYMBOL + 1):
        height, width = _sides(image, value)
        if min(height, width) >= data.size and _works(model, value):
            return height, width
    raise _refusal(model, data, f"takes {image.type}, of which no size works", image.span)


def _works(model: Model, value: int) -> bool:
    return all(side >= 1 for node in model.graph.nodes() for side in _sides(node, value))


def _sides(node: "Node", value: int) -> tuple[int, ...]:
    """A tensor's sizes in pixels, all symbols having this value."""
    return tuple(side if isinstance(side, int) else side.at(value) for side in node.type.spatial)

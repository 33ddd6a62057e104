"""From a compile request to a net that takes a data set's images, or to what hinders it.

What the user set stays as it is. Otherwise the net's own parameters follow the data (`classes`,
and `size` where it is the side of the input), and the channels of its image; images are enlarged to
an input of another size, and repeated along channels that cannot be changed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

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

    `request` is what it was compiled from, with the settings that followed the data; `channels`,
    `size` (height and width) and, where these have symbols, `symbols` are what it takes; `exits`
    names its results in order.
    """

    request: Request
    model: Model
    channels: int
    size: tuple[int, int]
    symbols: Mapping[str, int]
    exits: tuple[str, ...]


def fit(request: Request, data: Dataset) -> Fitted:
    """Compile a net for a data set. Raises ArchError if it is wrong, or cannot take the data."""
    request, model = _compile(request, data)
    _check_inputs(model, data)
    _check_outputs(model, data, request)
    request, model = _with_channels(request, model, data)
    (image,) = model.graph.inputs()
    if data.channels not in (1, image.type.channels):
        raise _refusal(model, data, f"takes {image.type}", image.span)
    value, names = _symbol(model, data), model.graph.output_names()
    height, width = _sides(image, value)
    symbols = {side.symbol: value for side in image.type.spatial if not isinstance(side, int)}
    return Fitted(request, model, image.type.channels, (height, width), symbols, names)


def _compile(request: Request, data: Dataset) -> tuple[Request, Model]:
    """The net with the parameters that suit the data; as declared where it refuses them."""
    declared = Model(compile_spec(request))
    for settings in _suitable_settings(declared, request, data):
        suited = replace(request, arguments={**request.arguments, **settings})
        try:
            model = Model(compile_spec(suited))
        except ArchError:
            continue
        sides = {side for image in model.graph.inputs() for side in image.type.spatial}
        if "size" not in settings or sides == {data.size}:
            return suited, model
    return request, declared


def _with_channels(request: Request, model: Model, data: Dataset) -> tuple[Request, Model]:
    """The net for the data's channels, where its spec admits them."""
    (image,) = model.graph.inputs()
    if image.type.channels == data.channels:
        return request, model
    suited = replace(request, channels=data.channels)
    try:
        return suited, Model(compile_spec(suited))
    except ArchError:
        return request, model


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


def _symbol(model: Model, data: Dataset) -> int:
    """The least value of the symbols in the input's size for which the input is not smaller than
    the data and no tensor of the net is empty; 1 where there are none."""
    (image,) = model.graph.inputs()
    if all(isinstance(side, int) for side in image.type.spatial):
        return 1
    for value in range(1, LARGEST_SYMBOL + 1):
        if min(_sides(image, value)) >= data.size and _works(model, value):
            return value
    raise _refusal(model, data, f"takes {image.type}, of which no size works", image.span)


def _works(model: Model, value: int) -> bool:
    return all(side >= 1 for node in model.graph.nodes() for side in _sides(node, value))


def _sides(node: "Node", value: int) -> tuple[int, ...]:
    """A tensor's sizes in pixels, all symbols having this value."""
    return tuple(side if isinstance(side, int) else side.at(value) for side in node.type.spatial)

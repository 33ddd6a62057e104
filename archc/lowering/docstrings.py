"""What the docstring of a class says: the spec's `##` text where it has one; else how the class
differs from others of its block, or what it is made of."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from archc.ir.graph import Graph, Hyper
from archc.lowering.form import Form
from archc.lowering.items import ChainItem, FunctionItem
from archc.lowering.modules import Application
from archc.ops.op import TensorType
from archc.program.printing import constant

_WIDTH = 90
"""So long is a line of a docstring, without its indentation and quotes."""


def docstring_of(
    form: Form, forms: Sequence[Form], graph: Graph, names: Mapping[int, str]
) -> tuple[str, ...]:
    """The lines of a docstring; `names` are those of the classes."""
    region = form.module.region
    alike = [other for other in forms if other.module.region.definition == region.definition]
    contents, shapes = _contents(form, names), _shapes(form, graph)
    if region.block is None:
        return _line(f"The {_scopes(form, graph)}", f": {contents}", shapes)
    if form is not alike[0]:
        difference = _difference(form, alike)
        text = ("", f" of {contents}") if not difference else (f" {difference}", "")
        return _line(f"`{region.block}`{text[0]}", text[1], shapes)
    return tuple(region.doc.split("\n")) if region.doc else _line("Made of", f" {contents}", shapes)


def shape_text(type_: TensorType) -> str:
    """A type with its batch axis: `[N, 3, 32, 32]`."""
    if not type_.batched:
        return str(type_)
    return f"[N, {', '.join(map(str, type_.shape))}]"


def _line(start: str, contents: str, shapes: str) -> tuple[str, ...]:
    """As much as fits on a line."""
    choices = (contents + shapes, contents, shapes)
    fits = (each for each in choices if len(start + each) < _WIDTH)
    return (f"{start}{next(fits, '')}.",)


def _scopes(form: Form, graph: Graph) -> str:
    """The scopes that are of a form, or the one that each instance of a block has."""
    region = form.module.region
    around = region
    while around.block is None and around.parent is not None:
        around = graph.regions[around.parent]
    if around.parent is not None:
        return f"scope `{region.path[-1]}` of `{around.block}`"
    found = [".".join(module.path) for module in form.modules]
    return f"scope `{found[0]}`" if len(found) == 1 else f"scopes `{found[0]}` to `{found[-1]}`"


def _difference(form: Form, alike: Sequence[Form]) -> str:
    """What a form has that the first one of its block has not."""
    counts = [_tensors(other) for other in alike]
    text = f"from {_tensors(form)}" if len(set(counts)) > 1 else ""
    if text and counts.count(_tensors(form)) == 1:
        return text
    first, own = dict(_fixed(alike[0])), dict(_fixed(form))
    differing = (name for name in own if first.get(name, own[name]) != own[name])
    told = " and ".join(f"`{name}` is {constant(own[name])}" for name in islice(differing, 2))
    return f"{text} where {told}".strip() if told else text


def _tensors(form: Form) -> str:
    """How many tensors a form takes and gives."""
    given, back = len(form.module.first.inputs), len(form.module.first.outputs)
    return f"{given} tensor{'s' if given > 1 else ''} to {back}"


def _fixed(form: Form) -> Iterator[tuple[str, Hyper]]:
    """The hyperparameters that all instances of a form share, if a number or a word says them."""
    records = [dict(module.region.parameters) for module in form.modules]
    for name, value in records[0].items():
        if isinstance(value, int | str) and all(record.get(name) == value for record in records):
            yield name, value


def _contents(form: Form, names: Mapping[int, str]) -> str:
    """The classes and operators of a form, in the order in which they are applied."""
    words: dict[str, None] = {}
    for item in form.body.items:
        if isinstance(item, ChainItem):
            words.setdefault(item.label[-1])
        elif isinstance(item, FunctionItem) or item.form is None:
            words.setdefault(item.op)
        else:
            words.setdefault(names[item.form])
    *others, last = words or ["layers that are applied elsewhere"]
    return f"{', '.join(others)} and {last}" if others else last


def _shapes(form: Form, graph: Graph) -> str:
    """`; [N, 3, 32, 32] -> [N, 342, 8, 8]`, if every instance has these."""
    seen = {_types(each, graph) for module in form.modules for each in module.applications}
    return f"; {seen.pop()}" if len(seen) == 1 and form.module.first.outputs else ""


def _types(application: Application, graph: Graph) -> str:
    ends = (application.inputs, application.outputs)
    given, back = (", ".join(shape_text(graph.node(id).type) for id in end) for end in ends)
    return f"{given} -> {back}"

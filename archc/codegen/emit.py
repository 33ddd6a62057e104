"""From a graph to the text of a model file. Python decides; the template only lays out."""

import hashlib
import re
import textwrap
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from importlib.resources import files

import jinja2

from archc.codegen.classes import ClassView, ClassWriter
from archc.codegen.forms import Form, Outliner, SharedFormError, scope_word
from archc.codegen.imports import ALONE, WITH_EXTERNS, Imported, import_lines, imported_classes
from archc.codegen.items import Attribute, Chain
from archc.codegen.modules import Modules, pooled
from archc.codegen.net import NetWriter
from archc.codegen.runtime import Delivery, Part, closure, part
from archc.codegen.symbols import Variation, find_symbols
from archc.codegen.text import MEANINGFUL, WIDTH, Symbol, comment
from archc.diagnostics import error
from archc.ir.graph import Graph, Path

RUNTIME_HEADING = "# --- archc runtime"
TORCH = "2.11"
"""The oldest version that emitted files are tried with."""

_CHECKSUM = re.compile(
    r"(\A[^\n]*\n[^\n]*\n\n    [^\n]*\n(?:[^\n]+\n)*?Checksum )([0-9a-f]{16})(?=; )"
)
_BLANK = "0" * 16


@dataclass(frozen=True)
class Header:
    """What the file says of its making."""

    spec: str
    command: str
    passes: tuple[str, ...]
    version: str


def emit(
    graph: Graph,
    variations: Sequence[Variation],
    header: Header,
    delivery: Delivery = "inline",
) -> str:
    """The text of `model.py` for a verified graph. Raises ArchError where a net has none."""
    return _render(graph.name, _write(graph, variations), header, delivery)


def require_text(graph: Graph) -> None:
    """Raise the ArchError that `emit` raises where a net has no text."""
    _outlined(Modules.of(graph), {})


@dataclass(frozen=True)
class _Written:
    """The classes of a net, what wrote them, and what they need; `runtime` has the parts that are
    `called` and those that they need, each behind these."""

    writers: list[ClassWriter]
    classes: list[ClassView]
    called: Set[str]
    runtime: tuple[Part, ...]
    imported: Imported


def _write(graph: Graph, variations: Sequence[Variation]) -> _Written:
    """The classes of a graph. Raises ArchError."""
    modules = Modules.of(graph)
    symbols = find_symbols(modules, variations)
    outliner, forms = _outlined(modules, symbols.of)
    called = _called(graph)
    runtime = tuple(map(part, closure(called)))
    defined = frozenset(name for each in runtime for name in each.names)
    names = class_names(forms, graph.name, defined)
    imported = imported_classes(graph, {*_names_taken(forms), *defined, *names.values()})
    writers: list[ClassWriter] = [
        NetWriter(modules, outliner, form, names, imported, arguments=symbols.arguments)
        if not form.module.path
        else ClassWriter(modules, outliner, form, names, imported)
        for form in forms
    ]
    return _Written(writers, [writer.write() for writer in writers], called, runtime, imported)


def _outlined(
    modules: Modules, symbols: Mapping[tuple[Path | int, str], Symbol]
) -> tuple[Outliner, list[Form]]:
    """The forms of all modules. Raises ArchError where one needs more than one."""
    outliner = Outliner(modules, symbols)
    try:
        return outliner, outliner.run()
    except SharedFormError as refusal:
        region = refusal.module.region
        raise error(
            "E0701",
            f"`{'.'.join(region.path)}` is applied several times, with different bodies",
            region.span,
            help="what a block does may depend on its input only where it is applied once",
        ) from None


def is_untouched(text: str) -> bool:
    """Whether an emitted file is as it was written: its checksum holds."""
    match = _CHECKSUM.search(text)
    return match is not None and match[2] == _checksum(text)


def _checksum(text: str) -> str:
    """Of the text with its checksum blanked."""
    blank = _CHECKSUM.sub(rf"\g<1>{_BLANK}", text, count=1)
    return hashlib.sha256(blank.encode()).hexdigest()[:16]


def _render(net: str, written: _Written, header: Header, delivery: Delivery) -> str:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Python is no markup: `text.py` is the filter
    )
    source = files("archc.codegen").joinpath("templates/model.py.jinja").read_text("utf-8")
    runtime = written.runtime
    if delivery == "import":
        runtime = tuple(each for each in runtime if each.name in written.called)
    text = environment.from_string(source).render(
        title=comment(f"{net}, compiled by archc {header.version} from {header.spec}."),
        about=_about(header, needs_archc=delivery == "import" and bool(runtime)),
        imports=import_lines(_text(written.classes), written.imported, runtime, delivery),
        suppressed=WITH_EXTERNS if written.imported else ALONE,
        classes=written.classes,
        runtime=[each.text for each in runtime if delivery == "inline"],
    )
    return text.replace(_BLANK, _checksum(text), 1)


def _about(header: Header, *, needs_archc: bool) -> list[str]:
    """The command on its own line; then the checksum, the passes, and what the file needs."""
    passes = ", ".join(header.passes) or "none"
    needs = f"torch >= {TORCH} and archc" if needs_archc else f"torch >= {TORCH}"
    made = f"Checksum {_BLANK}; passes: {passes}; needs {needs}. Edit a copy freely."
    paragraphs = (f"    {header.command}", made)
    return [
        line
        for text in paragraphs
        for line in textwrap.wrap(comment(text), WIDTH, break_on_hyphens=False)
    ]


def _text(classes: list[ClassView]) -> str:
    return "\n".join(
        line
        for view in classes
        for line in (*view.init, *(line for method in view.methods for line in method))
    )


def _called(graph: Graph) -> set[str]:
    """The modules of archc's runtime that the net's own text calls."""
    names = {name for node in graph.nodes() if not node.layer.path for name in node.op.runtime}
    sharing = graph.sharing
    if sharing:
        names.add("memory")
    if sharing.rebuilds:
        names.add("recipes")
    if sharing.concats or sharing.activations or pooled(graph):
        names.add("rebuild")
    if sharing.rows:
        names.add("rerun")
    if sharing.blocks:
        names.add("dense_block")
    if sharing.closings:
        names.add("norm_relu")
    return names


_TAKEN = MEANINGFUL | {
    "Tensor",
    "Sequence",
    "int",
    "float",
    "bool",
    "str",
    "list",
    "dict",
    "l",
    "O",
    "I",
}


def class_names(forms: list[Form], net: str, defined: Set[str]) -> dict[int, str]:
    """A class name for each form: the block's, or the scope's label in camel case. Of several
    scopes `stage1`, `stage2`, ... with forms of their own, each has the number of its first.

    Of several forms of one block the smallest has the plain name; the others add the labels that
    they have beyond it (`BottleneckDownsample`), or a number where these are more than two. What is
    called as the net is a part of it: the scope `tree` of the net `Tree` is `TreePart`. Forms that
    differ in the number of tensors say it: `Layer3` takes and gives three, `Layer3To2` gives two.
    `defined` are the names of the runtime below.
    """
    taken = {*_names_taken(forms), *defined}
    name = _free(net, net, taken)
    names: dict[int, str] = {form.id: name for form in forms if not form.module.path}
    taken.add(name)
    groups: dict[str, list[Form]] = {}
    for form in forms:
        if form.module.path:
            base = _base(form)
            groups.setdefault(f"{base}Part" if base == name else base, []).append(form)
    for base, group in groups.items():
        if len(group) > 1 and all(form.module.region.block is None for form in group):
            for form in group:
                names[form.id] = _free(camel(form.module.path[-1]), base, taken)
                taken.add(names[form.id])
            continue
        ordered = sorted(group, key=lambda form: (len(form.body.items), form.id))
        plain = _labels(ordered[0])
        counted = len({len(form.module.first.inputs) for form in ordered}) > 1
        for form in ordered:
            extra = [label for label in _labels(form) if label not in plain]
            words = "".join(map(camel, extra)) if len(extra) <= 2 else ""
            wanted = base + (_tensors(form) if counted else words)
            names[form.id] = _free(wanted, base, taken)
            taken.add(names[form.id])
    return names


def _names_taken(forms: list[Form]) -> set[str]:
    """What neither a class nor an import may be called."""
    return {*_TAKEN, *(parameter.name for form in forms for parameter in form.parameters)}


def _base(form: Form) -> str:
    region = form.module.region
    return region.block or camel(scope_word(region.path[-1]))


def _labels(form: Form) -> list[str]:
    """What the spec calls the children: not their numbers, nor names made of those of blocks."""
    made = {
        child.path[-1]
        for child in form.module.children
        if scope_word(child.path[-1]) == (child.region.block or "").lower()
    }
    items = [item for item in form.body.items if isinstance(item, Attribute | Chain)]
    labels = (item.label[-1] for item in items)
    return list(dict.fromkeys(each for each in labels if not each.isdigit() and each not in made))


def _tensors(form: Form) -> str:
    """How many tensors a form takes, and gives if these are other ones."""
    taken, given = len(form.module.first.inputs), len(form.module.first.outputs)
    return f"{taken}" if taken == given else f"{taken}To{given}"


def _free(wanted: str, base: str, taken: set[str]) -> str:
    if wanted not in taken:
        return wanted
    number = 2
    while f"{base}{number}" in taken:
        number += 1
    return f"{base}{number}"


def camel(label: str) -> str:
    """`dense_block1` as a class name: `DenseBlock1`; a label of digits gets a word before it."""
    words = "".join(word[:1].upper() + word[1:] for word in re.split(r"[\W_]", label))
    return words if words[:1].isalpha() else f"Part{words}"

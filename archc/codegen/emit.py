"""From a graph to the text of a model file. Python decides; the template only lays out."""

import hashlib
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import jinja2

from archc.codegen.imports import ALONE, WITH_EXTERNS, import_lines
from archc.codegen.runtime import Delivery, closure, part
from archc.ir.graph import Graph
from archc.layout import WIDTH
from archc.lowering.lower import Program, lower, runtime_parts
from archc.lowering.symbols import Variation
from archc.program.printing import comment, text_of

RUNTIME_HEADING = "# --- archc runtime"
TORCH = "2.11"
"""The oldest version that emitted files are tried with."""

_CHECKSUM = re.compile(
    r"(\A[^\n]*\n[^\n]*\n\n    [^\n]*\n(?:[^\n]+\n)*?Checksum )([0-9a-f]{16})(?=; )"
)
_BLANK = "0" * 16


@dataclass(frozen=True)
class Header:
    """What the file says of its making; `files` are those that the command reads besides."""

    spec: str
    command: str
    passes: tuple[str, ...]
    version: str
    files: tuple[str, ...] = ()


def emit(
    graph: Graph,
    variations: Sequence[Variation],
    header: Header,
    delivery: Delivery = "inline",
) -> str:
    """The text of `model.py` for a verified graph. Raises ArchError where a net has none."""
    inlined = (part(name) for name in closure(runtime_parts(graph)))
    defined = frozenset(name for each in inlined for name in each.names)
    return _render(lower(graph, variations, defined), header, delivery)


def is_untouched(text: str) -> bool:
    """Whether an emitted file is as it was written: its checksum holds."""
    match = _CHECKSUM.search(text)
    return match is not None and match[2] == _checksum(text)


def _checksum(text: str) -> str:
    """Of the text with its checksum blanked."""
    blank = _CHECKSUM.sub(rf"\g<1>{_BLANK}", text, count=1)
    return hashlib.sha256(blank.encode()).hexdigest()[:16]


def _render(program: Program, header: Header, delivery: Delivery) -> str:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Python is no markup: the printer is the filter
    )
    source = files("archc.codegen").joinpath("templates/model.py.jinja").read_text("utf-8")
    inline = delivery == "inline"
    runtime = list(map(part, closure(program.runtime) if inline else sorted(program.runtime)))
    above, below = import_lines(program, runtime, delivery)
    text = environment.from_string(source).render(
        title=comment(f"{program.net}, compiled by archc {header.version} from {header.spec}."),
        about=_about(header, needs_archc=bool(runtime) and not inline),
        imports=above,
        suppressed=WITH_EXTERNS if program.imported else ALONE,
        net=program.classes[-1].name,
        classes=[text_of(class_) for class_ in program.classes],
        runtime_imports=below,
        runtime=[each.text for each in runtime if inline],
    )
    return text.replace(_BLANK, _checksum(text), 1)


def _about(header: Header, *, needs_archc: bool) -> list[str]:
    """The command on its own line; then the checksum, the passes, what the file needs, and which
    files the command does."""
    passes = ", ".join(header.passes) or "none"
    needs = f"torch >= {TORCH} and archc" if needs_archc else f"torch >= {TORCH}"
    made = f"Checksum {_BLANK}; passes: {passes}; needs {needs}."
    found = f"The command reads {' and '.join(header.files)} in the folder where it runs."
    paragraphs = (f"    {header.command}", f"{made} {found}" if header.files else made)
    return [
        line
        for text in paragraphs
        for line in textwrap.wrap(comment(text), WIDTH, break_on_hyphens=False)
    ]

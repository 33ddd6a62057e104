"""What is asked of archc for one input: diagnostics, or files that are what they should be.

Runs in a process of its own, which has 1 GiB of memory; torch is not in it.
"""

import ast
import re
import resource
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from xml.etree import ElementTree as ET

from fuzz_inputs import Input

from archc import runtime
from archc.analysis.summary import summarize
from archc.checking import check_spec
from archc.cli.main import collect_seldom
from archc.codegen.runtime import part
from archc.compiler import Compilation, Request, compile_spec
from archc.diagnostics import ArchError, Diagnostic, render
from archc.elaborate.files import load_program
from archc.elaborate.limits import Limits
from archc.explanations import pages
from archc.ir.dump import dump
from archc.ops.extern import Extern
from archc.ops.size import Size
from archc.syntax.format import format_source
from archc.syntax.source import read_source, source_from_text
from archc.viz.draw import to_dot, to_svg

SECONDS = 10
MEMORY = 2**30


class OutOfTimeError(BaseException):
    """A command took too long; no `except Exception` hides it."""


class WrongError(Exception):
    """archc gave something that it should not."""


Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Net:
    """An emitted file; its input and output shapes if it is small enough to be run."""

    source: str
    importable: bool
    shapes: tuple[Shapes, Shapes] | None


@dataclass
class Outcome:
    """What became of an input; `finding` is empty if all is well."""

    codes: tuple[str, ...] = ()
    nets: list[Net] = field(default_factory=list)
    finding: str = ""


def work(connection: Connection, folder: str) -> None:
    """Take inputs and give outcomes until None comes."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    collect_seldom()
    while (given := connection.recv()) is not None:
        connection.send(outcome_of(given, Path(folder)))


def outcome_of(given: Input, folder: Path) -> Outcome:
    result = Outcome()
    write(given, folder)
    try:
        examine(folder / given.main, result)
    except OutOfTimeError as problem:
        result.finding = f"more than {SECONDS} s in {problem}"
    except Exception as problem:  # noqa: BLE001 - whatever it is, it is what we look for
        result.finding = "".join(traceback.format_exception(problem)[-12:])
    for name in given.files:
        (folder / name).unlink(missing_ok=True)
    return result


def write(given: Input, folder: Path) -> None:
    for name, content in given.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@contextmanager
def limited(command: str) -> Iterator[None]:
    """At most `SECONDS` of processor time: other work on the machine does not count."""

    def stop(_: int, __: FrameType | None) -> None:
        raise OutOfTimeError(command)

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def examine(path: Path, result: Outcome) -> None:
    """All commands on one spec. Raises what a bug raises, WrongError where a result is wrong."""
    with limited("check"):
        diagnostics = check_spec(path, Limits())
    for diagnostic in diagnostics:
        check_diagnostic(diagnostic)
    errors = [each for each in diagnostics if each.severity == "error"]
    result.codes = tuple(sorted({each.code or "" for each in errors}))
    check_format(path)
    try:
        nets = [net.name.name for net in load_program(path).nets]
    except ArchError:
        _demand(bool(errors), "check says nothing, and the spec cannot be loaded")
        return
    for net in nets[:2]:
        try:
            with limited("compile"):
                compilation = compile_spec(Request(str(path), net))
                source = compilation.source()
        except ArchError as problem:
            for diagnostic in problem.diagnostics:
                check_diagnostic(diagnostic)
            _demand(bool(errors), f"check says nothing, compile does:\n{problem}")
            continue
        check_source(source)
        result.nets.append(Net(source, not _externs(compilation), _shapes(compilation)))
        look_at(compilation)


def check_diagnostic(diagnostic: Diagnostic) -> None:
    text = render(diagnostic)
    unseen = [char for char in text if not char.isprintable() and char != "\n"]
    _demand(not unseen, f"unseen characters {unseen} in a message")
    _demand(diagnostic.code in pages(), f"no page for {diagnostic.code}")
    for label in diagnostic.labels:
        start, end = label.span.start, label.span.end
        size = len(label.span.source.text) + 1  # a caret may stand behind the last character
        _demand(0 <= start <= end <= size, f"{start}-{end} is no span")


def check_format(path: Path) -> None:
    """What can be parsed is formatted, and formatting it again changes nothing."""
    try:
        source = read_source(path, display="spec.arch", name="spec.arch")
        with limited("fmt"):
            once = format_source(source)
    except ArchError as problem:
        for diagnostic in problem.diagnostics:
            check_diagnostic(diagnostic)
        return
    with limited("fmt"):
        twice = format_source(source_from_text(once, "spec.arch"))
    _demand(once == twice, "fmt changes what it formatted")


def look_at(compilation: Compilation) -> None:
    """expand, summary and viz."""
    graph = compilation.graph
    with limited("expand"):
        dump(graph)
    with limited("summary"):
        str(summarize(graph))
    try:
        with limited("viz"):
            check_svg(to_svg(graph))
            check_dot(to_dot(graph))
    except ArchError as refused:
        codes = {diagnostic.code for diagnostic in refused.diagnostics}
        _demand(codes == {"E0812"}, f"no picture: {refused}")  # too large to be drawn


TAGS = {"svg", "title", "desc", "style", "defs", "marker", "g", "rect", "line", "path", "text"}
TAGS |= {"tspan", "polyline", "polygon", "circle", "ellipse"}


def check_svg(text: str) -> None:
    """A well-formed picture that does nothing and loads nothing."""
    for element in ET.fromstring(text).iter():
        tag = element.tag.rpartition("}")[2]
        _demand(tag in TAGS, f"<{tag}> in an SVG")
        for name, value in element.attrib.items():
            plain = not name.lower().startswith("on") and not name.endswith("href")
            _demand(plain, f"{name} in an SVG")
            _demand("url(" not in value or "url(#" in value, f"{value} in an SVG")


def check_dot(text: str) -> None:
    """No label is HTML, and no attribute links, loads or shows a hint."""
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text).replace("->", "")
    _demand("<" not in outside and ">" not in outside, "HTML in a DOT file")
    attributes = set(re.findall(r"(\w+)=", outside))
    _demand(not attributes & HARMFUL, f"{attributes & HARMFUL} in a DOT file")


HARMFUL = {"URL", "href", "target", "image", "shapefile", "tooltip", "imagepath", "stylesheet"}

RUNTIME = {path.stem: path.read_text("utf-8") for path in Path(runtime.__path__[0]).glob("*.py")}
HEADING = "# --- archc runtime\n"


def _imported(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


MODULES = {"torch", "torch.nn", "collections.abc"}.union(*map(_imported, RUNTIME.values()))
"""What emitted files may import: what archc's runtime does."""


def check_source(source: str) -> None:
    """Python that declares classes and functions, and does nothing else when it is imported.

    Below the heading stand modules of archc's runtime, as they are.
    """
    model, _, below = source.partition(HEADING)
    for text in sorted(
        (part(name).text for name in RUNTIME if name != "__init__"), key=len, reverse=True
    ):
        below = below.replace(text, "")
    _demand(not below.strip(), f"a runtime that is not archc's: {below.strip()[:200]}")
    externs = re.search(r"import-untyped", source.split("\n", 1)[0])
    _demand(bool(externs) or MODULES.issuperset(_imported(model)), "other imports")
    for node in ast.parse(model).body:
        if isinstance(node, ast.ImportFrom | ast.Import):
            continue
        if isinstance(node, ast.Assign):
            (target,) = node.targets
            _demand(ast.unparse(target) == "__all__", f"assigns {ast.unparse(target)}")
        elif isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base) for base in node.bases]
            _demand(bases in (["nn.Module"], ["nn.Sequential"]), "another base")
            kinds = (ast.FunctionDef, ast.Expr)
            _demand(all(isinstance(each, kinds) for each in node.body), "a statement in a class")
        elif isinstance(node, ast.Expr):
            _demand(isinstance(node.value, ast.Constant), f"does {ast.unparse(node)}")
        else:
            _demand(isinstance(node, ast.FunctionDef), f"holds {ast.unparse(node)}")
    _demand(source.isascii(), "characters that are not ASCII")
    compile(source, "model.py", "exec")


def _externs(compilation: Compilation) -> bool:
    return any(isinstance(node.op, Extern) for node in compilation.graph.nodes())


def _shapes(compilation: Compilation) -> tuple[Shapes, Shapes] | None:
    """The shapes of inputs and outputs, the batch axis left out; None for a large net."""
    graph = compilation.graph
    cost = summarize(graph).cost
    if cost.opaque or cost.macs is None or max(cost.params, int(cost.macs)) > 10_000_000:
        return None
    inputs = [node.type.shape for node in graph.inputs()]
    outputs = [graph.node(output.node).type.shape for output in graph.outputs]
    if any(isinstance(size, Size) for shape in (*inputs, *outputs) for size in shape):
        return None
    return _plain(inputs), _plain(outputs)


def _plain(shapes: Sequence[tuple[int | Size, ...]]) -> Shapes:
    return tuple(tuple(size for size in shape if isinstance(size, int)) for shape in shapes)


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise WrongError(what)

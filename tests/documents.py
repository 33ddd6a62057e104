"""The documents: their fenced blocks, their tables, and what archc says of their examples.

docs/language.md says how its examples are read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from archc.codegen.emit import Header, emit
from archc.diagnostics import ArchError, Diagnostic
from archc.elaborate.files import FileScope, load_program
from archc.elaborate.net import elaborate, variations
from archc.elaborate.resolve import check_names
from archc.lint.unused import warnings_of
from archc.passes.pipeline import DEFAULT, run_pipeline

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))

FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: the word and the rest of its first line, and its text."""

    document: Path
    line: int
    language: str
    info: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"


def blocks_of(document: Path, *languages: str) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    found = [
        Block(document, text.count("\n", 0, match.start()) + 1, match[1], match[2], match[3])
        for match in FENCE.finditer(text)
    ]
    return [block for block in found if not languages or block.language in languages]


def blocks(*languages: str) -> list[Block]:
    return [block for document in DOCUMENTS for block in blocks_of(document, *languages)]


def table_after(document: Path, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading (or any line), without its own heading."""
    _, _, text = document.read_text(encoding="utf-8").partition(f"{heading}\n")
    rows = re.search(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert rows is not None, heading
    lines = rows[0].splitlines()[2:]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]


_DECLARATION = re.compile(r"^(?:@.*)?(net|block|const|import|arch|extern)\b", re.MULTILINE)


UNUSED = {"W0005", "W0006", "W0007", "W0009"}
"""What the few lines of an example leave unused is no matter, nor the `return` behind their own."""


def completed(example: str) -> str:
    """An example as a file: statements become the body of a net, in which x is [64, 32, 32]."""
    if _DECLARATION.search(example):
        return example
    body = "".join(f"    {line}\n" if line else "\n" for line in example.splitlines())
    head = "net Example(classes=10)(image: [3, 32, 32]) {\n    x = image -> stem: conv(64, 3)\n"
    return f"{head}{body}    return x\n}}\n"


def compiled(program: FileScope) -> Iterator[tuple[str, tuple[Diagnostic, ...]]]:
    """The emitted text of each net, and what is said of it."""
    for net in program.nets:
        name = net.name.name
        elaboration = elaborate(program, name)
        header = Header(program.source.name, "archc compile", (), "0")
        varied = [
            replace(each, graph=run_pipeline(each.graph, DEFAULT))
            for each in variations(program, name, {}, elaboration)
        ]
        graph = run_pipeline(elaboration.graph, DEFAULT)
        yield emit(graph, varied, header), warnings_of(program, elaboration)


def said_of(path: Path, example: str) -> list[Diagnostic]:
    """Errors and warnings of an example's file, after each of its nets has been emitted."""
    try:
        program = load_program(path)
        check_names(program)
        said = [item for _, warnings in compiled(program) for item in warnings]
        whole = completed(example) == example
        return [item for item in said if whole or item.code not in UNUSED]
    except ArchError as problem:
        return list(problem.diagnostics)

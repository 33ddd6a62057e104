"""From a spec's path to its parsed files: imports, containment, and what each file can see.

An import is looked up beside the importing file, then in the shipped library; it never leaves the
project root (the nearest folder upward with `archc.toml` or `.git`, else the spec's own) or that
library. Imports are not transitive: a file sees what its direct imports declare.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from archc.diagnostics import (
    ArchError,
    Diagnostic,
    Label,
    Source,
    did_you_mean,
    error,
    nearest,
)
from archc.resources import library_root
from archc.syntax import ast
from archc.syntax.edits import replaced
from archc.syntax.parser import read as read_tree
from archc.syntax.source import is_folder, read_source, source_from_text

MAX_FILES = 64
MAX_IMPORT_DEPTH = 16
MAX_CHARACTERS = 512 * 1024
"""Of all files behind which another one is read."""

Declared = ast.Const | ast.ExternLayer | ast.Block | ast.Variant


@dataclass(eq=False)
class FileScope:
    """One file, and the names at its top level: its own and those of its direct imports."""

    source: Source
    tree: ast.File
    foreign: tuple[Diagnostic, ...] = ()
    """What is wrong with its values in Python's words; `check_names` reports it."""
    names: dict[str, tuple[Declared, "FileScope"]] = field(default_factory=dict)
    imports: list[tuple[ast.Import, "FileScope"]] = field(default_factory=list)
    evaluating: set[str] = field(default_factory=set)

    @property
    def own(self) -> Iterator[Declared]:
        for declaration in self.tree.declarations:
            if not isinstance(declaration, ast.Import):
                yield declaration

    @property
    def nets(self) -> list[ast.Block | ast.Variant]:
        return [
            item
            for item in self.own
            if isinstance(item, ast.Variant) or (isinstance(item, ast.Block) and item.is_net)
        ]


def find_spec(spec: str) -> Path:
    """The file that a command-line argument names: a path, or the name of a shipped spec."""
    path = Path(spec)
    if is_there(path):
        return path
    if path.suffix == "" and path.name == spec:
        shipped = library_root() / f"{spec}.arch"
        if shipped.is_file():
            return shipped
    known = shipped_specs()
    help = did_you_mean(spec, known) or f"shipped specs: {', '.join(known)}"
    raise error("E0501", f"there is no file `{spec}`, and no shipped spec of that name", help=help)


def is_there(path: Path) -> bool:
    """Whether there is something at a path, be it a dead link or in a folder that is locked."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:  # reading it will say why
        return True
    return True


def find_specs(argument: str) -> tuple[list[Path], list[Diagnostic]]:
    """The specs that an argument names: one as `find_spec` does, or all in a folder and below it.

    Hidden folders and virtual environments are left out. Folders that cannot be read are what the
    diagnostics tell of. Raises ArchError if there is no spec and no such folder.
    """
    if not is_folder(Path(argument)):
        return [find_spec(argument)], []
    locked: list[Diagnostic] = []
    found = list(_walk(argument, locked))
    if not found and not locked:
        help = "the names of specs end in `.arch`"
        raise error("E0501", f"there is no spec in the folder `{argument}`", help=help)
    return found, locked


def _walk(folder: str, locked: list[Diagnostic]) -> Iterator[Path]:
    """The specs in and below a folder; of the folders that cannot be read, `locked` gets errors."""

    def refuse(problem: OSError) -> None:
        what = f"{Path(problem.filename)}: cannot read the folder: {problem.strerror}"
        help = "name the specs or folders that are meant, if this one is not"
        locked.extend(error("E0802", what, help=help).diagnostics)

    for parent, folders, files in os.walk(folder, onerror=refuse):
        inside = sorted(name for name in folders if not name.startswith("."))
        folders[:] = [name for name in inside if not _is_file(Path(parent, name, "pyvenv.cfg"))]
        yield from (Path(parent, name) for name in sorted(files) if name.endswith(".arch"))


def shipped_specs() -> list[str]:
    """The names of the specs that come with archc."""
    return sorted(path.stem for path in library_root().glob("*.arch"))


def load_program(path: Path, text: str | None = None) -> FileScope:
    """Parse a spec and all that it imports; with `text` as if the file held that.

    Raises ArchError with every file's errors.
    """
    loader = _Loader(_real(path).parent)
    return loader.result(loader.load(path, str(path), (), text))


def load_text(text: str, display: str) -> FileScope:
    """Parse a spec that is no file, as `load_program` does one in the working folder.

    `display` is what messages and emitted files call it.
    """
    loader = _Loader(_real(Path()))
    return loader.result(loader.load_text(text, display))


class _Loader:
    """Loads a spec whose own folder is `home`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.library = library_root().resolve()
        self.root = _project_root(home)
        self.loaded: dict[Path, FileScope] = {}
        self.characters = 0
        self.diagnostics: list[Diagnostic] = []

    def result(self, main: FileScope | None) -> FileScope:
        """The spec itself. Raises ArchError with all that was found on the way."""
        if self.diagnostics:
            raise ArchError(tuple(self.diagnostics))
        assert main is not None
        return main

    def load(
        self, path: Path, display: str, importers: tuple[Path, ...], text: str | None = None
    ) -> FileScope | None:
        """A file with its imports; None if there are diagnostics of it."""
        real = _real(path)
        if real in self.loaded:
            return self.loaded[real]
        name = self._name(real)
        if text is not None:
            given = source_from_text(text, display, name)
            return self._load(lambda: replace(given, file=path), real, importers)
        return self._load(lambda: read_source(path, display=display, name=name), real, importers)

    def load_text(self, text: str, display: str) -> FileScope | None:
        """A text with its imports; None if there are diagnostics of it."""
        return self._load(lambda: source_from_text(text, display, display), self.home / display, ())

    def _load(
        self, read: Callable[[], Source], real: Path, importers: tuple[Path, ...]
    ) -> FileScope | None:
        try:
            source = read()
            self.characters += len(source.text)
            tree, foreign = read_tree(source)
        except ArchError as problem:
            self.diagnostics += problem.diagnostics
            return None
        self.diagnostics += foreign if importers else ()
        scope = self.loaded[real] = FileScope(source, tree, () if importers else foreign)
        for declaration in tree.declarations:
            if isinstance(declaration, ast.Import):
                self._import(declaration, scope, (*importers, real))
            else:
                self._declare(declaration, scope, scope)
        return scope

    def _name(self, real: Path) -> str:
        """The file's place as emitted files show it, the same on every machine."""
        for base in (self.home, self.library, self.root):
            if real.is_relative_to(base):
                return real.relative_to(base).as_posix()
        return real.name

    def _declare(self, declaration: Declared, home: FileScope, scope: FileScope) -> None:
        name = declaration.name
        other, other_home = scope.names.setdefault(name.name, (declaration, home))
        if other is declaration:
            return
        where = "is declared twice" if home is other_home else "comes from two files"
        self.diagnostics += error(
            "E0502",
            f"`{name.name}` {where}",
            Label(name.span, "again here"),
            Label(other.name.span, "first here"),
            help="rename one of them",
        ).diagnostics

    def _import(self, item: ast.Import, scope: FileScope, chain: tuple[Path, ...]) -> None:
        try:
            path, display = self._resolve(item, scope)
            real = path.resolve()
            if real in chain:
                raise error(
                    "E0503", f"`{item.path}` imports itself, through its own imports", item.span
                )
            deep = len(chain) > MAX_IMPORT_DEPTH
            if deep or len(self.loaded) >= MAX_FILES or self.characters > MAX_CHARACTERS:
                what = f"imports deeper than {MAX_IMPORT_DEPTH}, more than {MAX_FILES} files "
                what += f"or {MAX_CHARACTERS // 1024} KiB in all"
                raise error("E0907", what, item.span)
        except ArchError as problem:
            self.diagnostics += problem.diagnostics
            return
        imported = self.load(path, display, chain)
        if imported is None:
            return
        scope.imports.append((item, imported))
        for declaration in imported.own:
            if not declaration.name.name.startswith("_"):
                self._declare(declaration, imported, scope)

    def _resolve(self, item: ast.Import, scope: FileScope) -> tuple[Path, str]:
        written = item.path
        relative = Path(written if written.endswith(".arch") else f"{written}.arch")
        if relative.is_absolute() or "\\" in written or ":" in written or not written.strip():
            raise error(
                "E0504",
                f'"{written}" is not a relative path',
                item.span,
                help='imports are written relative to the importing file, with "/"',
            )
        beside = _folder(scope.source) / relative
        for path, display in (
            (beside, _beside(scope.source.path, relative)),
            (self.library / relative, f"archc:{relative.as_posix()}"),
        ):
            if _is_file(path):
                self._contain(path.resolve(), item)
                return path, display
        near = nearest(written, self._importable(scope))
        raise error(
            "E0505",
            f'there is no file "{relative.as_posix()}" beside `{scope.source.path}`, '
            "nor in the shipped library",
            item.span,
            help=f"did you mean `{near}`?" if near else None,
            fix=replaced(item.span, f'import "{near}"') if near else (),
        )

    def _contain(self, real: Path, item: ast.Import) -> None:
        if not (real.is_relative_to(self.root) or real.is_relative_to(self.library)):
            raise error(
                "E0506",
                f'"{item.path}" lies outside of the project',
                item.span,
                help="the project is the nearest folder upward with `archc.toml` or `.git`, "
                "else the spec's own folder",
            )

    def _importable(self, scope: FileScope) -> list[str]:
        beside = (path.name for path in _folder(scope.source).glob("*.arch"))
        shipped = (p.relative_to(self.library).as_posix() for p in self.library.rglob("*.arch"))
        return [name.removesuffix(".arch") for name in (*beside, *shipped)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that the system does not take
        return False


def _real(path: Path) -> Path:
    """The path without links; one of links that lead in a circle stays, for reading to refuse."""
    return Path(os.path.realpath(path))


def _folder(source: Source) -> Path:
    """Where the imports of a source are looked for first; for a text the working folder."""
    return Path() if source.file is None else source.file.parent


def _beside(importer: str, relative: Path) -> str:
    return (Path(importer).parent / relative).as_posix()


def _project_root(folder: Path) -> Path:
    for candidate in (folder, *folder.parents):
        if is_there(candidate / "archc.toml") or is_there(candidate / ".git"):
            return candidate
    return folder

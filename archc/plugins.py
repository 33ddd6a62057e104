"""Passes and operators of other distributions, found by their entry points.

`[project.entry-points."archc.passes"]` and `"archc.ops"` give a class for each name. Nobody looks
until a name is asked for that archc itself does not have, and only the class of that name is then
imported.
"""

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from archc.diagnostics import ArchError, Span, error, printable

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

T = TypeVar("T")

_OURS = Path(__file__).parent


@dataclass(frozen=True)
class Plugin:
    """A class that a distribution offers by a name: `package.module:Class`."""

    entry: "EntryPoint"
    distribution: str
    """Name and version."""

    @property
    def name(self) -> str:
        return self.entry.name

    def __str__(self) -> str:
        return f"`{self.name}` of the distribution `{self.distribution}`"


class PluginError(Exception):
    """What a distribution offers cannot be used; whoever asked for it knows the place."""

    def __init__(
        self, code: str, message: str, help: str | None = None, notes: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.help = help
        self.notes = notes

    def at(self, *spans: Span) -> ArchError:
        """The error, where the name stands."""
        return error(self.code, str(self), *spans, help=self.help, notes=self.notes)


def offered(group: str) -> tuple[Plugin, ...]:
    """All that other distributions offer, by distribution and name; nothing is imported."""
    return _scan(group, tuple(sys.path))


def find(group: str, name: str) -> Plugin | None:
    """What is offered under a name. Raises PluginError if two distributions do."""
    found = [plugin for plugin in offered(group) if plugin.name == name]
    if len(found) > 1:
        names = " and ".join(f"`{plugin.distribution}`" for plugin in found)
        raise PluginError(
            "E0723", f"`{name}` is offered by {names}", "uninstall one of the distributions"
        )
    return found[0] if found else None


def load(plugin: Plugin, base: type[T], wrong: Callable[[type[T]], str | None]) -> type[T]:
    """The class of a plugin, a subclass of `base` in which `wrong` finds nothing.

    Raises:
        PluginError: it cannot be imported, or is something else.
    """
    try:
        found = plugin.entry.load()
    except (Exception, SystemExit) as problem:
        raise PluginError(
            "E0721",
            f"{plugin} cannot be loaded: {_first_line(problem)}",
            f'`python -c "import {plugin.entry.value.partition(":")[0]}"` shows where it fails',
        ) from problem
    if not (isinstance(found, type) and issubclass(found, base)):
        what = "an operator" if base.__name__ == "Op" else "a pass"
        raise PluginError("E0722", f"{plugin} is `{plugin.entry.value}`, which is not {what}")
    if getattr(found, "name", None) != plugin.name:
        called = getattr(found, "name", None)
        raise PluginError("E0722", f"{plugin} is a class whose `name` is {called!r}")
    _LOADED[found] = plugin
    require(found, wrong(found))
    return found


_LOADED: dict[type, Plugin] = {}
"""The classes that are from other distributions."""


def is_loaded(cls: type) -> bool:
    """Whether a class is from another distribution."""
    return cls in _LOADED


def require(cls: type, problem: str | None) -> None:
    """Refuse a class of another distribution if there is a problem. Raises PluginError."""
    if problem is not None:
        raise PluginError("E0722", f"{_LOADED[cls]} cannot be used: {problem}")


@contextmanager
def blamed(cls: type, *allowed: type[Exception], at: Span | None = None) -> Iterator[None]:
    """Where code of a class runs: if it is from another distribution, it is blamed for what fails.

    Raises ArchError, `at` the place that asked for the class; the `allowed` exceptions pass, and
    all those of archc's own classes.
    """
    spans = () if at is None else (at,)
    try:
        yield
    except PluginError as refusal:
        raise refusal.at(*spans) from refusal
    except (Exception, SystemExit) as problem:
        if cls not in _LOADED or isinstance(problem, (ArchError, *allowed)):
            raise
        message = f"{_LOADED[cls]} fails: {_first_line(problem)}"
        raise PluginError("E0724", message, notes=_places(problem)).at(*spans) from problem


def _first_line(problem: BaseException) -> str:
    first = (str(problem).splitlines() or [""])[0]
    return f"{type(problem).__name__}: {printable(first)}" if first else type(problem).__name__


def _places(problem: BaseException) -> list[str]:
    """Where it was raised, in code that is not archc's."""
    frames = traceback.extract_tb(problem.__traceback__)
    theirs = [each for each in frames if not Path(each.filename).is_relative_to(_OURS)]
    if not theirs:
        return []
    last = theirs[-1]
    return [f"in `{printable(last.name)}`, {printable(last.filename)}:{last.lineno}"]


@cache
def _scan(group: str, path: tuple[str, ...]) -> tuple[Plugin, ...]:  # noqa: ARG001 -- of the cache
    """What is offered on `sys.path`; of two distributions of one name the first counts."""
    from importlib.metadata import entry_points

    try:
        entries = entry_points(group=group)
    except Exception:  # noqa: BLE001 -- one file that Python cannot read, and it reads none
        return ()
    found = [Plugin(entry, _shown(entry.dist)) for entry in entries]
    return tuple(sorted(found, key=lambda plugin: (plugin.distribution, plugin.name)))


def _shown(distribution: "Distribution | None") -> str:
    assert distribution is not None, "entry points that were found have one"
    metadata = distribution.metadata
    return printable(f"{metadata['Name'] or ''} {metadata['Version'] or ''}".strip())

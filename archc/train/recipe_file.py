"""Recipes as YAML: what is wrong with one is told with its line, a caret, and the nearest name."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeGuard, get_args

import msgspec
import yaml

from archc.diagnostics import ArchError, Source, Span, did_you_mean, error, printable
from archc.train.optimizer import OPTIMIZERS, arguments_of, make_optimizer
from archc.train.recipe import Recipe

FOLDER = Path(__file__).parent / "recipes"
LARGEST = 65_536
"""Characters of a recipe."""

KeyPath = tuple[str, ...]


def shipped() -> list[str]:
    """The names of the recipes that come with archc."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_recipe(name: str, changes: Iterable[str] = ()) -> Recipe:
    """A recipe: a path, or the name of a shipped one; with changes as `optimizer.lr=0.05`.

    Raises ArchError where it is none, with the place of what is wrong.
    """
    tree = _Yaml()
    path = Path(name) if Path(name).is_file() else FOLDER / f"{name}.yaml"
    if not path.is_file():
        help = did_you_mean(name, shipped()) or f"there is {', '.join(shipped())}, or a path"
        raise error("E1010", f"there is no recipe `{printable(name)}`", help=help)
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if len(text) > LARGEST:
        raise error("E1010", f"`{name}` is larger than {LARGEST:,} characters: that is no recipe")
    found = tree.read(Source(str(path), text), 0, ()) if text.strip() else {}
    if not isinstance(found, dict):
        raise error("E1010", f"`{name}` is no mapping of keys to values", tree.values[()])
    for change in changes:
        _change(found, change, tree)
    return _checked(found, tree)


def _change(found: dict[str, Any], change: str, tree: "_Yaml") -> None:
    """Put the value of `key.key=value` in its place."""
    source = Source("--recipe-set", change)
    keys, equals, _ = change.partition("=")
    path = tuple(key.strip() for key in keys.split("."))
    if not equals or not all(path):
        raise error("E1010", "a change is KEY=VALUE, as `optimizer.lr=0.05`", _whole(source))
    for depth, key in enumerate(path[:-1], start=1):
        inner = found.setdefault(key, {})
        if not isinstance(inner, dict):
            where = Span(source, 0, len(keys))
            raise error("E1010", f"`{'.'.join(path[:depth])}` has no keys", where)
        found = inner
        tree.keys.setdefault(path[:depth], Span(source, 0, len(keys)))
    tree.keys[path] = Span(source, 0, len(keys))
    found[path[-1]] = tree.read(source, len(keys) + 1, path)


class _Loader(yaml.SafeLoader):
    """YAML's plain values; `1e-4` is a number, as in Python."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), "-+0123456789"
)


class _Yaml:
    """Plain values of YAML texts, and where each key and value stands."""

    def __init__(self) -> None:
        self.keys: dict[KeyPath, Span] = {}
        self.values: dict[KeyPath, Span] = {}

    def read(self, source: Source, start: int, path: KeyPath) -> Any:
        """What the text from `start` on says; it stands at `path`."""
        loader = _Loader(source.text[start:])
        try:
            node = loader.get_single_node()
            return None if node is None else self._plain(loader, node, source, start, path)
        except yaml.MarkedYAMLError as problem:
            mark = problem.problem_mark or problem.context_mark
            at = start + (mark.index if mark else 0)
            span = Span(source, min(at, len(source.text)), min(at + 1, len(source.text)))
            raise error("E1010", f"this is no YAML: {problem.problem}", span) from None
        except (yaml.YAMLError, ValueError, RecursionError) as problem:
            first = printable(str(problem).partition("\n")[0])
            raise error("E1010", f"this is no YAML: {first}", _whole(source)) from None
        finally:
            loader.dispose()

    def _plain(
        self, loader: _Loader, node: yaml.Node, source: Source, start: int, path: KeyPath
    ) -> Any:
        def span(each: yaml.Node) -> Span:
            return Span(source, start + each.start_mark.index, start + each.end_mark.index)

        if span(node) in self.values.values() and not isinstance(node, yaml.ScalarNode):
            raise error("E1010", "a recipe has no aliases", span(node))
        self.values[path] = span(node)
        if isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            return [self._plain(loader, each, source, start, (*path, str(i))) for i, each in items]
        if not isinstance(node, yaml.MappingNode):
            return loader.construct_object(node)
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in found:
                raise error("E1010", f"`{name}` is given twice", span(key))
            self.keys[*path, name] = span(key)
            found[name] = self._plain(loader, value, source, start, (*path, name))
        return found

    def span(self, path: KeyPath, *, key: bool = False) -> Span | None:
        """Where a value (or its key) stands, or the next one around it that stands somewhere."""
        order = (self.keys, self.values) if key else (self.values, self.keys)
        for length in range(len(path), -1, -1):
            for places in order:
                if path[:length] in places:
                    return places[path[:length]]
        return None


def _whole(source: Source) -> Span:
    return Span(source, 0, len(source.text))


@dataclass
class _Problem(Exception):
    """What is wrong at a path of keys."""

    path: KeyPath
    message: str
    help: str | None = None
    at_key: bool = False


def _checked(found: dict[str, Any], tree: _Yaml) -> Recipe:
    try:
        _check_names(found, Recipe, ())
        recipe = msgspec.convert(found, Recipe)
        _check_optimizer(recipe.optimizer)
        return recipe
    except msgspec.ValidationError as problem:
        message, _, where = str(problem).partition(" - at `$")
        path = tuple(re.findall(r"[\w.]+", where.rstrip("`").replace(".", " ")))
        name = ".".join(path) or "the recipe"
        wrong = _Problem(path, f"`{name}`: {message[0].lower()}{message[1:]}")
    except _Problem as problem:
        wrong = problem
    raise _located(wrong, tree)


def _located(wrong: _Problem, tree: _Yaml) -> ArchError:
    span = tree.span(wrong.path, key=wrong.at_key)
    places = () if span is None else (span,)
    return error("E1010", wrong.message, *places, help=wrong.help)


def _check_names(found: object, type_: object, path: KeyPath) -> None:
    """Every key is a field of the schema. Raises _Problem."""
    if isinstance(found, list | tuple):
        inner = [each for each in get_args(type_) if each is not Ellipsis]
        for index, item in enumerate(found):
            _check_names(item, inner[0] if inner else None, (*path, str(index)))
    struct = _struct_of(type_, found, path)
    if struct is None or not isinstance(found, dict):
        return
    fields = {field.name: field.type for field in msgspec.structs.fields(struct)}
    tag = struct.__struct_config__.tag_field
    for key, value in found.items():
        if key != tag and key not in fields:
            known = [*fields, *([tag] if tag else [])]
            raise _unknown((*path, key), known)
        _check_names(value, fields.get(key), (*path, key))


def _unknown(path: KeyPath, known: Iterable[str]) -> _Problem:
    help = did_you_mean(path[-1], known) or f"there is {', '.join(sorted(known))}"
    inside = f" in `{'.'.join(path[:-1])}`" if path[1:] else ""
    return _Problem(path, f"there is no key `{printable(path[-1])}`{inside}", help, at_key=True)


def _struct_of(type_: object, found: object, path: KeyPath) -> type[msgspec.Struct] | None:
    """The struct that a value is to become; of several, the one that its tag names."""
    members = get_args(type_) if isinstance(type_, UnionType) else (type_,)
    structs: list[type[msgspec.Struct]] = [each for each in members if _is_struct(each)]
    tagged = {each.__struct_config__.tag: each for each in structs}
    if len(tagged) < 2 or not isinstance(found, dict):
        return structs[0] if structs else None
    name = found.get("name")
    if name in tagged:
        return tagged[name]
    known = [str(tag) for tag in tagged]
    help = did_you_mean(str(name), known) or f"there is {', '.join(sorted(known))}"
    where = (*path, "name") if "name" in found else path
    raise _Problem(where, f"`{'.'.join(path)}` needs the name of one that there is", help)


def _is_struct(type_: object) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def _check_optimizer(given: Mapping[str, Any]) -> None:
    """Its class, its arguments, and their values. Raises _Problem."""
    import torch

    path = ("optimizer",)
    for needed in ("name", "lr"):
        if needed not in given:
            raise _Problem(path, f"`optimizer` needs `{needed}`")
    name = str(given["name"])
    if name not in OPTIMIZERS:
        help = did_you_mean(name, OPTIMIZERS) or f"there is {', '.join(sorted(OPTIMIZERS))}"
        raise _Problem((*path, "name"), f"torch.optim has no `{printable(name)}` for this", help)
    known = arguments_of(name)
    for key in given:
        if key != "name" and key not in known:
            raise _unknown((*path, key), known)
    lr = given["lr"]
    if isinstance(lr, bool) or not isinstance(lr, int | float) or not 0 < lr < float("inf"):
        raise _Problem((*path, "lr"), f"the learning rate must be a number above 0, not {lr}")
    try:
        make_optimizer(given, [torch.zeros(2, 2, requires_grad=True)])
    except (TypeError, ValueError, RuntimeError) as problem:
        said = printable(str(problem).partition("\n")[0])
        raise _Problem(path, f"torch.optim.{name} refuses this: {said}") from None


def describe(recipe: Recipe) -> Iterator[str]:
    """The lines of a recipe as YAML, without what the paper says."""
    plain = msgspec.to_builtins(recipe)
    kept = {key: value for key, value in plain.items() if key not in ("about", "claims")}
    yield from yaml.safe_dump(kept, sort_keys=False, default_flow_style=None).splitlines()

"""The reading of `--passes`, as `simplify,slim{ratio=0.4}`: passes with their options."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from lark import Token, Tree
from lark.exceptions import UnexpectedInput, UnexpectedToken

from archc import plugins
from archc.diagnostics import ArchError, Source, Span, did_you_mean, error, printable
from archc.passes.base import Pass
from archc.passes.pipeline import PASSES
from archc.plugins import Plugin, PluginError
from archc.syntax import table

GROUP = "archc.passes"
"""The entry points of the passes of other distributions. These run after archc's own that are not
`last`, in the order in which they are asked for."""

_Tree = Tree[Token]


def parse_passes(
    text: str, known: Sequence[type[Pass]] = PASSES, option: str = "--passes"
) -> tuple[Pass, ...]:
    """The passes that a text asks for; messages call it `option`. Raises ArchError."""
    source = Source(option, text)
    read = [_read_pass(part.tree, source, known) for part in _parts(_tree(source), source)]
    _check_order(read, known)
    return tuple(step for step, _ in read)


def _tree(source: Source) -> _Tree:
    try:
        return table.load().parse(source.text, start="passes")
    except UnexpectedInput as problem:
        parser: Any = problem.interactive_parser
        token = problem.token if isinstance(problem, UnexpectedToken) else "?"
        place = problem.pos_in_stream or 0
    raise error(
        "E0711",
        f"`{source.path}` needs {_needed(parser.accepts())} here",
        Span(source, place, place + len(token)) if token else Span(source, *[len(source.text)] * 2),
        help="passes are written `name` or `name{option=value,...}`, with commas between",
    )


def _needed(possible: Set[str]) -> str:
    """What is missing where one of these terminals can stand."""
    if "RBRACE" in possible:
        return f"{'a comma' if 'COMMA' in possible else 'an option'} or a closing brace"
    if "NUMBER" in possible:
        return "a value"
    if "EQUAL" in possible:
        return "an equals sign"
    return "the name of a pass" if "NAME" in possible else "a comma between two passes"


@dataclass(frozen=True)
class _Written:
    """A part of the text: a name, an option, or the value of one."""

    text: str
    span: Span
    tree: _Tree


def _parts(tree: _Tree, source: Source) -> Iterator[_Written]:
    for child in tree.children:
        assert isinstance(child, Tree), "a rule of parts"
        span = Span(source, child.meta.start_pos, child.meta.end_pos)
        yield _Written(source.text[span.start : span.end], span, child)


def _read_pass(tree: _Tree, source: Source, known: Sequence[type[Pass]]) -> tuple[Pass, Span]:
    name, *given = _parts(tree, source)
    cls = _pass_of(name, known)
    options: dict[str, object] = {}
    for part in given:
        _read_option(part, cls, options)
    for option in fields(cls):
        if option.default is MISSING and option.name not in options:
            raise error("E0713", f"`{cls.name}` needs the option `{option.name}`", name.span)
    return _configured(cls, options, name.span), name.span


def _configured(cls: type[Pass], options: Mapping[str, object], span: Span) -> Pass:
    try:
        with plugins.blamed(cls, ValueError, at=span):
            return cls(**options)
    except ValueError as refusal:
        message = f"`{cls.name}` refuses its options: {printable(str(refusal))}"
        raise error("E0714", message, span) from None


def _pass_of(name: _Written, known: Sequence[type[Pass]]) -> type[Pass]:
    """The class that a name stands for."""
    for cls in known:
        if cls.name == name.text:
            return cls
    try:
        plugin = plugins.find(GROUP, name.text)
        if plugin is not None:
            return load_pass(plugin)
    except PluginError as refusal:
        raise refusal.at(name.span) from None
    names = [*(cls.name for cls in known), *(plugin.name for plugin in plugins.offered(GROUP))]
    listed = f"passes are {', '.join(f'`{name}`' for name in names)}"
    help = did_you_mean(name.text, names) or listed
    raise error("E0712", f"there is no pass `{name.text}`", name.span, help=help)


def load_pass(plugin: Plugin) -> type[Pass]:
    """The pass of another distribution. Raises PluginError."""
    return plugins.load(plugin, Pass, _unreadable)


def _unreadable(cls: type[Pass]) -> str | None:
    """Why the options of a pass could not be given on the command line."""
    for option in fields(cls):
        if _type_name(option) not in _KINDS:
            return f"its option `{option.name}` is none of {', '.join(_KINDS)}"
    return None


def _type_name(option: Field[Any]) -> str:
    return option.type if isinstance(option.type, str) else option.type.__name__


def _read_option(part: _Written, cls: type[Pass], options: dict[str, object]) -> None:
    word, value = _parts(part.tree, part.span.source)
    by_name = {option.name: option for option in fields(cls)}
    name = word.text.replace("-", "_")
    if name not in by_name:
        listed = f"its options are {', '.join(f'`{name}`' for name in by_name)}"
        help = did_you_mean(name, by_name) or (listed if by_name else "it has none")
        raise error("E0713", f"`{cls.name}` has no option `{word.text}`", word.span, help=help)
    if name in options:
        raise error("E0713", f"`{cls.name}` gets `{name}` twice", word.span)
    wanted, read = _KINDS[_type_name(by_name[name])]
    try:
        options[name] = read(value.text)
    except (ValueError, KeyError):
        message = f"`{name}` must be {wanted}, not `{value.text}`"
        raise error("E0714", message, value.span) from None


def _float(text: str) -> float:
    value = float(text)
    if not -1e300 < value < 1e300:  # neither nan nor infinite
        raise ValueError
    return value


_KINDS: dict[str, tuple[str, Callable[[str], object]]] = {
    "int": ("a whole number", int),
    "float": ("a number", _float),
    "bool": ("true or false", {"true": True, "false": False}.__getitem__),
    "str": ("a word or a quoted string", lambda text: text.strip('"')),
}


def _check_order(read: Sequence[tuple[Pass, Span]], known: Sequence[type[Pass]]) -> None:
    """Passes run in one order, whatever a user would like: others have no defined meaning."""
    for i, (step, span) in enumerate(read):
        before = [other for other, _ in read[:i]]
        if any(type(other) is type(step) for other in before):
            raise _disorder(f"`{step.name}` runs once, not twice", span, known)
        late = [other for other in before if _rank(other, known) > _rank(step, known)]
        if late:
            message = f"`{step.name}` runs before `{late[-1].name}`, not after it"
            raise _disorder(message, span, known)


def _disorder(message: str, span: Span, known: Sequence[type[Pass]]) -> ArchError:
    first = [cls.name for cls in known if not cls.last]
    last = [cls.name for cls in known if cls.last]
    order = [*first, "those of other distributions", *last] if last else first
    return error("E0715", message, span, help=f"the order of passes is {', '.join(order)}")


def _rank(step: Pass, known: Sequence[type[Pass]]) -> tuple[int, int]:
    """Where a pass stands in the order; those of other distributions stand in one place."""
    if type(step) not in known:
        return (1, 0)
    return (2 if step.last else 0, list(known).index(type(step)))

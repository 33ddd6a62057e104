"""Which passes there are, which run by default, in which order, and the running of them.

A pass joins by standing in `PASSES`, or by an entry point of another distribution (docs/passes.md).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from archc import plugins
from archc.diagnostics import ArchError, Source, Span, did_you_mean, error, printable
from archc.ir.graph import Graph
from archc.ir.verify import VerifyError, verify
from archc.passes.base import Pass
from archc.passes.share_memory import ShareMemory
from archc.passes.simplify import Simplify
from archc.plugins import Plugin, PluginError
from archc.timing import Phases

PASSES: tuple[type[Pass], ...] = (Simplify, ShareMemory)
"""archc's own passes, in the only order in which they may run."""

GROUP = "archc.passes"
"""The entry points of the passes of other distributions. These run after archc's own that are not
`last`, in the order in which they are asked for."""

DEFAULT: tuple[Pass, ...] = (Simplify(), ShareMemory())
"""What runs unless the user asks for something else; at -O0 nothing does."""

BEFORE = "elaborate"
"""The name, for `--dump-after`, of the graph that the first pass gets."""


def run_pipeline(
    graph: Graph,
    passes: Sequence[Pass],
    *,
    dump_after: Callable[[str, Graph], None] | None = None,
    phases: Phases | None = None,
    check: bool = True,
) -> Graph:
    """The graph after all passes; `dump_after` is shown the graph before and after each of them.

    Each pass is a phase of `phases`, by its name. Raises VerifyError, which names the pass that
    broke the graph; ArchError for what a pass of another distribution does wrong.
    """
    phases = phases or Phases()
    if check:
        with phases.measure("verify"):
            verify(graph)
    if dump_after is not None:
        dump_after(BEFORE, graph)
    for step in passes:
        with plugins.blamed(type(step)), _named(step):
            with phases.measure(step.name):
                graph = _run(step, graph)
            if check:
                with phases.measure("verify"):
                    verify(graph)
        if dump_after is not None:
            dump_after(step.name, graph)
    return graph


def _run(step: Pass, graph: Graph) -> Graph:
    result: object = step.run(graph)
    if not isinstance(result, Graph):
        what = "None" if result is None else f"a {type(result).__name__}"
        raise TypeError(f"`run` gave {what}, not a graph")
    return result


@contextmanager
def _named(step: Pass) -> Iterator[None]:
    """Where a pass runs, and what it gives is verified: a graph that is broken is its work."""
    try:
        yield
    except VerifyError as broken:
        raise VerifyError(f"the pass `{step}` broke the graph: {broken}") from None


# ------------------------------------------------------------------ reading `--passes`


def parse_passes(
    text: str, known: Sequence[type[Pass]] = PASSES, option: str = "--passes"
) -> tuple[Pass, ...]:
    """The passes that a text such as `slim{ratio=0.4},simplify` asks for. Raises ArchError.

    `option` is what messages call the text.
    """
    reader = _Reader(Source(option, text))
    if reader.at_end():
        return ()
    read = [_read_pass(reader, known)]
    while not reader.at_end():
        reader.expect(",", "a comma between two passes")
        read.append(_read_pass(reader, known))
    _check_order(read, known)
    return tuple(step for step, _ in read)


@dataclass(frozen=True)
class _Token:
    text: str
    span: Span


class _Reader:
    """The words, numbers, strings and punctuation of a `--passes` text, one after the other."""

    _TOKEN = re.compile(
        r"""\s*("[^"]*" | [A-Za-z_][\w-]* | [-+]?[\d.](?:[\w.]|(?<=[eE])[-+])* | \S | $)""",
        re.ASCII | re.VERBOSE,
    )

    def __init__(self, source: Source) -> None:
        self.source = source
        self.tokens = list(self._split())
        self.position = 0

    def _split(self) -> Iterator[_Token]:
        for match in self._TOKEN.finditer(self.source.text):
            yield _Token(match[1], Span(self.source, *match.span(1)))
            if not match[1]:
                return

    @property
    def next(self) -> _Token:
        return self.tokens[self.position]

    def at_end(self) -> bool:
        return self.next.text == ""

    def take(self) -> _Token:
        token = self.next
        if not self.at_end():
            self.position += 1
        return token

    def accept(self, text: str) -> bool:
        found = self.next.text == text
        if found:
            self.position += 1
        return found

    def expect(self, text: str, what: str) -> None:
        if not self.accept(text):
            raise self.needs(what)

    def needs(self, what: str) -> ArchError:
        return error(
            "E0711",
            f"`{self.source.path}` needs {what} here",
            self.next.span,
            help="passes are written `name` or `name{option=value,...}`, with commas between",
        )


def _read_pass(reader: _Reader, known: Sequence[type[Pass]]) -> tuple[Pass, Span]:
    if reader.at_end():
        raise reader.needs("the name of a pass")
    word = reader.take()
    cls = _pass_of(word, known)
    options: dict[str, object] = {}
    if reader.accept("{") and not reader.accept("}"):
        _read_option(reader, cls, options)
        while not reader.accept("}"):
            reader.expect(",", "a comma or a closing brace")
            _read_option(reader, cls, options)
    for option in fields(cls):
        if option.default is MISSING and option.name not in options:
            raise error("E0713", f"`{cls.name}` needs the option `{option.name}`", word.span)
    return _configured(cls, options, word.span), word.span


def _configured(cls: type[Pass], options: Mapping[str, object], span: Span) -> Pass:
    try:
        with plugins.blamed(cls, ValueError, at=span):
            return cls(**options)
    except ValueError as refusal:
        message = f"`{cls.name}` refuses its options: {printable(str(refusal))}"
        raise error("E0714", message, span) from None


def _pass_of(word: _Token, known: Sequence[type[Pass]]) -> type[Pass]:
    """The class that a name stands for."""
    for cls in known:
        if cls.name == word.text:
            return cls
    try:
        plugin = plugins.find(GROUP, word.text)
        if plugin is not None:
            return load_pass(plugin)
    except PluginError as refusal:
        raise refusal.at(word.span) from None
    names = [*(cls.name for cls in known), *(plugin.name for plugin in plugins.offered(GROUP))]
    listed = f"passes are {', '.join(f'`{name}`' for name in names)}"
    help = did_you_mean(word.text, names) or listed
    raise error("E0712", f"there is no pass `{word.text}`", word.span, help=help)


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


def _read_option(reader: _Reader, cls: type[Pass], options: dict[str, object]) -> None:
    if reader.at_end():
        raise reader.needs("an option or a closing brace")
    word = reader.take()
    by_name = {option.name: option for option in fields(cls)}
    name = word.text.replace("-", "_")
    if name not in by_name:
        listed = f"its options are {', '.join(f'`{name}`' for name in by_name)}"
        help = did_you_mean(name, by_name) or (listed if by_name else "it has none")
        raise error("E0713", f"`{cls.name}` has no option `{word.text}`", word.span, help=help)
    if name in options:
        raise error("E0713", f"`{cls.name}` gets `{name}` twice", word.span)
    reader.expect("=", "an equals sign")
    options[name] = _option_value(by_name[name], reader.take())


def _option_value(option: Field[Any], token: _Token) -> object:
    """The value as the field's type has it."""
    wanted, read = _KINDS[_type_name(option)]
    try:
        return read(token.text)
    except (ValueError, KeyError):
        message = f"`{option.name}` must be {wanted}, not `{token.text}`"
        raise error("E0714", message, token.span) from None


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

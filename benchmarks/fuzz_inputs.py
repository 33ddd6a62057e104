"""The inputs of the fuzzer: specs, case files and generated specs, mutated; and texts from nothing.

The number of an input and the corpus say all of it: the same ones give the same bytes.
"""

import random
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

TOKEN = re.compile(
    r'"(?:[^"\\\n]|\\.)*"|##?[^\n]*|[A-Za-z_]\w*|[0-9][\w.]*|->|\+=|\*\*|//|[=!<>]=|\s+|.',
    re.DOTALL,
)

WORDS: list[str] = re.findall(
    r"\w+",
    """
    and arch assert block const else exit extern false for from if import in layer net not or return
    scope true x y xs i n image conv bn relu concat add linear flatten global_avg_pool max_pool
    avg_pool reshape split take upsample dropout range len zip enumerate min max sum int floor ceil
    sqrt str conv_transpose group_norm layer_norm scale parameter apply_conv drop_path channels
    height width shape self print __import__ eval lambda class def None nan inf
    """,
)
NUMBERS: list[str] = re.findall(
    r"\S+",
    """
    0 1 2 3 7 -1 64 65536 65537 999999999999 1000000000000 1e999 1e308 0.5 1. .5 1_000 00 0x10
    1e-400 9**9**9 2**53 2**63 (-1) 0.1 1/3 10**12 [0]*10**12 range(10**18) [1,2,3]
    9007199254740993
    """,
)
STRINGS = (
    '""', '"a"', '"s{i}"', '"{"', '"}"', '"{{7*7}}"', '"{% x %}"', '"<script>alert(1)</script>"',
    '"]]>"', '"&amp;"', '"--"', '"\\n"', '"\\\\"', '"\\""', "\"'''\"", '"""', '"../../etc/passwd"',
    '"/etc/passwd"', '"blocks/dense"', '"{i:>9}"', '"é漢"', '"os:system"', '"a.b:C"', '"{x}{y}"',
)  # fmt: skip
MARKS = "-> = == != <= >= < > + - * ** / // % ( ) [ ] { } , : . @ += # ## ; ' ` \\ $ ? ! & | ~ ^ \t"
HARSH = ("\0", "\r", "\r\n", "\x1b[2J", "\u202e", "\u200b", "\ufeff", "\x85", "\u2028", "é", "漢")
TERMINALS = (*WORDS, *NUMBERS, *STRINGS, *MARKS.split(" "), "\n", "\n", "\n", " ")


@dataclass(frozen=True)
class Input:
    """Files by their relative paths, of which `main` is compiled, and how they were made."""

    files: dict[str, bytes]
    main: str
    origin: str


@dataclass(frozen=True)
class Corpus:
    """What is mutated: texts by name, in groups that are drawn from with equal chance."""

    groups: tuple[tuple[tuple[str, str], ...], ...]
    library: tuple[tuple[str, str], ...]

    def pick(self, rng: random.Random) -> tuple[str, str]:
        return rng.choice(rng.choice(self.groups))


def corpus(generated: Sequence[str]) -> Corpus:
    """The shipped specs, the case files, the examples of the documentation, generated specs."""
    return Corpus(
        (
            _texts("specs/*.arch"),
            _texts("specs/blocks/*.arch") + _texts("specs/templates/*.arch"),
            *(_texts(f"tests/cases/{kind}/*.arch") for kind in ("codegen", "elaborate", "format")),
            _texts("tests/cases/mistakes/*.arch") + _texts("tests/cases/pytorch_habits/*.arch"),
            _examples(),
            *((tuple((f"generated {i}", text) for i, text in enumerate(generated)),) * 3),
        ),
        _texts("specs/blocks/*.arch"),
    )


def _texts(pattern: str) -> tuple[tuple[str, str], ...]:
    found = sorted(ROOT.glob(pattern))
    return tuple((path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in found)


def _examples() -> tuple[tuple[str, str], ...]:
    """What stands between three backquotes in the documentation."""
    found = []
    for page in sorted(ROOT.glob("docs/**/*.md")):
        blocks = re.findall(
            r"^```arch[^\n]*\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
        found += [(f"{page.name} {i}", block) for i, block in enumerate(blocks)]
    return tuple(found)


def draw(source: Corpus, seed: int, number: int) -> Input:
    """The input of a number."""
    rng = random.Random(f"{seed} {number}")
    kind = rng.random()
    if kind < 0.08:
        return _alone(_soup(rng), "soup")
    if kind < 0.10:
        return _alone(rng.randbytes(rng.choice((0, 1, 10, 1000, 20_000))), "bytes")
    name, text = source.pick(rng)
    if kind < 0.15:
        return _with_library(source, rng)
    if kind < 0.20:
        return _alone(_byte_mutated(rng, text.encode()), f"bytes of {name}")
    steps = [rng.choice(MUTATIONS) for _ in range(rng.choice((1, 1, 1, 1, 2, 3, 6)))]
    for step in steps:
        text = step(rng, text, source.pick(rng)[1])
    words = ", ".join(step.__name__.strip("_") for step in steps)
    return _alone(text.encode("utf-8", "surrogatepass"), f"{words} of {name}")


def _alone(content: bytes | str, origin: str) -> Input:
    data = content.encode() if isinstance(content, str) else content
    return Input({"spec.arch": data}, "spec.arch", origin)


def _with_library(source: Corpus, rng: random.Random) -> Input:
    """A spec beside a mutated file of blocks that it imports; at times it is imported itself."""
    name, text = rng.choice(source.library)
    place = name.removeprefix("specs/")
    users = [spec for spec in source.groups[0] if f'"{place.removesuffix(".arch")}"' in spec[1]]
    main = rng.choice(users)[1] if users else f'import "{place}"\n'
    step = rng.choice((*MUTATIONS, _import_back))
    mutated = step(rng, text, source.pick(rng)[1])
    files = {"spec.arch": main.encode(), place: mutated.encode("utf-8", "surrogatepass")}
    return Input(files, "spec.arch", f"{step.__name__.strip('_')} of {name}, imported")


def _soup(rng: random.Random) -> str:
    words = [rng.choice(TERMINALS) for _ in range(rng.choice((3, 10, 30, 100, 1000)))]
    text = rng.choice((" ", "", " ")).join(words)
    frames = ("{}", "block B()(x) {{\n{}\n}}\n", "net N(n=3)(x: [3, 8, 8]) {{\n{}\nreturn x\n}}\n")
    return rng.choice(frames).format(text)


# ------------------------------------------------------------------ mutations of a text

Mutation = Callable[[random.Random, str, str], str]


def _span(rng: random.Random, length: int, most: int) -> tuple[int, int]:
    start = rng.randrange(length + 1)
    return start, min(length, start + rng.randrange(most + 1))


def _replace_token(rng: random.Random, text: str, other: str) -> str:
    """One token becomes another one: of the same kind, of this text, of another one, or harsh."""
    tokens = TOKEN.findall(text)
    places = [i for i, token in enumerate(tokens) if token.strip()]
    if not places:
        return text
    at = rng.choice(places)
    tokens[at] = rng.choice(
        (_alike(rng, tokens[at]), rng.choice(tokens), rng.choice(TERMINALS), _token(rng, other))
    )
    return "".join(tokens)


def _alike(rng: random.Random, token: str) -> str:
    if token[0].isdigit():
        return rng.choice(NUMBERS)
    if token[0] == '"':
        return rng.choice(STRINGS)
    return rng.choice(WORDS) if token[0].isalpha() else rng.choice(MARKS.split(" "))


def _token(rng: random.Random, text: str) -> str:
    tokens: list[str] = TOKEN.findall(text)
    return rng.choice(tokens or [""])


def _change_tokens(rng: random.Random, text: str, other: str) -> str:
    """Tokens are left out, doubled, or change places."""
    tokens = TOKEN.findall(text)
    start, end = _span(rng, len(tokens), 8)
    piece = tokens[start:end]
    way = rng.choice(("drop", "double", "turn", "move"))
    if way == "drop":
        piece = []
    elif way == "double":
        piece = piece * rng.choice((2, 3, 50))
    elif way == "turn":
        piece = piece[::-1]
    else:
        target = rng.randrange(start + 1)
        tokens[target:target] = piece
        start, end, piece = start + len(piece), end + len(piece), []
    return "".join((*tokens[:start], *piece, *tokens[end:]))


def _change_lines(rng: random.Random, text: str, other: str) -> str:
    lines = text.split("\n")
    start, end = _span(rng, len(lines), 6)
    piece = lines[start:end]
    rest = lines[:start] + lines[end:]
    at = rng.randrange(len(rest) + 1)
    piece = piece * rng.choice((0, 1, 1, 2, 100))
    return "\n".join(rest[:at] + piece + rest[at:])


def _splice(rng: random.Random, text: str, other: str) -> str:
    """A piece of another file in this one, cut anywhere, at lines or at declarations."""
    separator = rng.choice(("", "\n", "\n\n"))
    if not separator:
        start, end = _span(rng, len(other), 300)
        at = rng.randrange(len(text) + 1)
        return text[:at] + other[start:end] + text[at:]
    theirs, ours = other.split(separator), text.split(separator)
    start, end = _span(rng, len(theirs), 8)
    first, last = _span(rng, len(ours), 3)
    return separator.join(ours[:first] + theirs[start:end] + ours[last:])


def _nest(rng: random.Random, text: str, other: str) -> str:
    """A token in many brackets, or a body in itself."""
    depth = rng.choice((1, 2, 5, 30, 63, 64, 65, 200, 2000))
    tokens = TOKEN.findall(text)
    if rng.random() < 0.6 and tokens:
        at = rng.randrange(len(tokens))
        opened, closed = rng.choice(
            (("(", ")"), ("[", "]"), ("f(", ")"), ("-", ""), ("not ", ""), ("x -> ", ""),
             ("if true {\n", "\n}"), ("scope s {\n", "\n}"), ("1 if 1 == 1 else ", ""), ("{", "}"),
             ("", "[0]"), ("", "()"), ("", ".x"), ("", " + 1"), ("2 ** ", ""),
             ("[i for i in ", "]"))
        )  # fmt: skip
        tokens[at] = opened * depth + tokens[at] + closed * depth
        return "".join(tokens)
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return text * min(depth, 30)
    body = text[start + 1 : end]
    at = rng.randrange(len(body) + 1)
    for _ in range(min(depth, 5)):
        body = body[:at] + body + body[at:]
        if len(body) > 100_000:
            break
    return text[: start + 1] + body + text[end:]


def _characters(rng: random.Random, text: str, other: str) -> str:
    start, end = _span(rng, len(text), rng.choice((0, 1, 3, 20)))
    put = rng.choice(
        (
            rng.choice(HARSH),
            rng.choice(string.printable),
            rng.choice(TERMINALS),
            "",
            text[start:end],
        )
    )
    return text[:start] + put * rng.choice((1, 1, 1, 2, 5000)) + text[end:]


def _numbers(rng: random.Random, text: str, other: str) -> str:
    """Some numbers become others."""
    share = rng.choice((0.05, 0.3, 1))
    return re.sub(
        r"(?<![\w.])[0-9][0-9.]*",
        lambda found: rng.choice(NUMBERS) if rng.random() < share else found[0],
        text,
    )


def _small_numbers(rng: random.Random, text: str, other: str) -> str:
    """One number becomes a near one: often a valid spec, of another net."""
    places = list(re.finditer(r"(?<![\w.])[0-9]{1,12}(?![\w.])", text))
    if not places:
        return text
    found = rng.choice(places)
    put = str(max(0, int(found[0]) + rng.choice((-2, -1, 1, 2, 5))))
    return text[: found.start()] + put + text[found.end() :]


def _names(rng: random.Random, text: str, other: str) -> str:
    """One name becomes another one everywhere."""
    names = sorted(set(re.findall(r"\b[a-z_]\w*", text)))
    if not names:
        return text
    put = rng.choice((rng.choice(names), rng.choice(WORDS), "self", "nn", "torch", "F", "forward"))
    return re.sub(rf"\b{rng.choice(names)}\b", put, text)


def _number_or_name(rng: random.Random, text: str, other: str) -> str:
    """One name or number becomes another one of the same text: it can still be parsed."""
    kind = rng.choice((r"\b[0-9]{1,12}\b", r"\b[a-z]\w*\b", r"\b[A-Z]\w*\b", r"[-+*/%]+"))
    places = list(re.finditer(kind, text))
    if not places:
        return text
    found = rng.choice(places)
    return text[: found.start()] + rng.choice(places)[0] + text[found.end() :]


# Those that keep a text grammatical stand several times.
MUTATIONS: tuple[Mutation, ...] = (
    _replace_token, _replace_token, _change_tokens, _change_lines, _splice, _nest, _characters,
    _numbers, _numbers, *(_small_numbers, _number_or_name) * 3, _names, _names,
)  # fmt: skip


def _import_back(rng: random.Random, text: str, other: str) -> str:
    return f'import "../spec"\n{text}'


def _byte_mutated(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 4, 30))):
        at = rng.randrange(len(changed) + 1)
        way = rng.randrange(4)
        if way == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif way == 1:
            changed[at:at] = rng.randbytes(rng.choice((1, 2, 100)))
        elif way == 2:
            del changed[at : at + rng.choice((1, 2, 100, 10_000))]
        else:
            changed[at:at] = rng.choice(
                (b"\xef\xbb\xbf", b"\xff\xfe", b"\r", b"\0", b"\xed\xa0\x80")
            )
    return bytes(changed)

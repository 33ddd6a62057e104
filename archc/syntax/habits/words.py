"""Words of other languages, Python's first: keywords, `None`, `is`, `lambda`, imports, strings."""

from functools import partial

from archc.syntax.habits.habit import Found, Habit, in_index, inside
from archc.syntax.habits.interpolated import interpolated
from archc.syntax.habits.kinds import compares_one_kind
from archc.syntax.messages import FOREIGN, RESERVED

_FOREIGN = f"(?:{'|'.join(sorted(FOREIGN))})"
_NO_NAME = f"(?P<at>{'|'.join(sorted(FOREIGN | RESERVED))})"

# ------------------------------------------------------------------- labels

_LABELLED = r"^[^\n‸]*(?:->|\bexit\b)\s*"
_PIECES = "COLON STRING PLUS_MINUS MUL_DIV DOT LPAR"


def _with_holes(found: Found) -> str | None:
    """The string for `"c" + str(i)`, where it is no word or string already."""
    text = found["at"]
    ours = interpolated(text) if any(sign in text for sign in "+%(") else None
    return None if ours == text else ours


_formatted = partial(
    Habit,
    "E0156",
    "a label is a word or a string, not an expression",
    help="a string has holes: `{new}`",
    write=_with_holes,
    types=_PIECES,
)

_other_text = partial(
    Habit,
    "E0156",
    "a label is a word or a string, not an expression",
    help='a string has holes, as in `"c{{i}}"`, and holes have no formats',
    types=_PIECES,
)
_TEXT_BEFORE = r'(?P<at>"[^"\n]*"[ \t]*[%.][^\n]*?‸[^\n:{]*?)'

LABELS = (
    _formatted(rf"{_LABELLED}(?P<at>(?!->)[^\n]*?‸[^\n:]*?)[ \t]*(?=[:\n]|\Z)"),
    _formatted(r"^[^\n‸]*\bscope\b\s*(?P<at>[^\n]*?‸[^\n:{]*?)[ \t]*(?=[:{\n]|\Z)"),
    _other_text(rf"{_LABELLED}{_TEXT_BEFORE}[ \t]*(?=:)"),
    _other_text(rf"^[^\n‸]*\bscope\b\s*{_TEXT_BEFORE}[ \t]*(?=[:{{])"),
)

# -------------------------------------------------------------------- lambda

_LAMBDA = r"(?P<at>lambda)\s+(?P<i>\w+)\s*:\s*"
_BODY = r"(?P<body>[^,()\n#]*(?:\([^()\n#]*\)[^,()\n#]*)*)"
_MAP = rf"map\(\s*‸{_LAMBDA}{_BODY},\s*(?P<xs>[\w.]*(?:\[[^\[\]\n]*\]|\([^()\n]*\))?)\s*\)"


_anonymous = partial(Habit, "E0122", "there are no lambdas", certain=False)

LAMBDAS = (
    _anonymous(
        r"‸(?P<out>lambda\s+(?P<i>\w+)\s*:\s*(?P<f>\w+)\(\s*(?P=i)\s*\))[ \t]*(?=[,()\n#]|\Z)",
        write="{f}",
    ),
    _anonymous(rf"(?P<out>list\(\s*{_MAP}\s*\))", write="[{body} for {i} in {xs}]"),
    _anonymous(rf"(?P<out>{_MAP})", write="[{body} for {i} in {xs}]"),
    _anonymous(rf"‸{_LAMBDA}[^,()\n#]*->", "write a `block`: `block Name(width)(x) {{ ... }}`"),
    _anonymous(
        rf"‸{_LAMBDA}{_BODY}",
        "for numbers write a list, `[{body} for {i} in range(n)]`, and take its elements; "
        "for tensors a `block`",
    ),
    _anonymous(
        r"‸lambda\b",
        "put the expression in place; for numbers write a list, `[... for i in range(n)]`",
    ),
)

# --------------------------------------------------------------- declarations

_DECLARING = r"^[ \t]*‸(?P<at>def|class|function|fn|func|model|module|network|layer)"
_HEAD = r"[ \t]+\w+\s*\([^()\n]*\)\s*\("
_BLOCK = "write `block Name(hyperparameters)(x) {{ ... return y }}`"
_REST = r"[^\n#]*?(?=[ \t]*(?:#|$))"
_IMPORT = r"(?:import\s+[A-Za-z_]|from\s+[\w.]+\s+import\b)"
_NO_PATH = 'an import names another spec in quotes, as in `import "blocks/dense"`'


def _import(pattern: str, write: str) -> Habit:
    return Habit("E0155", _NO_PATH, rf"^[ \t]*(?P<at>(?={_IMPORT}){pattern}{_REST})", write=write)


DECLARED = (
    Habit(
        "E0133",
        "`{at}` is a keyword, so it cannot be a label",
        rf"(?:->|\bexit)\s*‸{_NO_NAME}\s*:",
        "choose another name, say `{at}_`",
        "{at}_",
        certain=False,
    ),
    Habit(
        "E0124",
        "there is no `{at}`",
        rf"{_DECLARING}{_HEAD}[^():\n]*:[^()\n]*\)\s*\{{",
        write="net",
    ),
    Habit("E0124", "there is no `{at}`", rf"{_DECLARING}{_HEAD}[^()\n]*\)\s*\{{", write="block"),
    _import(r"(?:import|from)\s+blocks\.(?P<file>\w+)", 'import "blocks/{file}"'),
    _import(r"import\s+(?P<path>\w+(?:/\w+)+)", 'import "{path}"'),
    Habit(
        "E0155",
        _NO_PATH,
        rf"^(?P<out>[ \t]*(?P<at>{_IMPORT}{_REST})[ \t]*(?:#.*)?\n?)",
        "remove this line: operators need no import",
        "",
    ),
)

# --------------------------------------------------------------------- `None`


_none = partial(Habit, "E0166", "there is no `None`: a value is always one")


def _is_argument(found: Found) -> bool:
    return inside(found) and found.s.keyword not in ("BLOCK", "NET", "EXTERN")


_NONE = r"‸(?P<at>None)\b"
_ARGUMENT = rf"\b\w+\((?:[^()]*,\s*)?(?P<name>\w+)\s*=\s*{_NONE}"
_STRIDE = rf"stride\s*=\s*{_NONE}"
_POOL = r"\b(?:max|avg)_pool\("
_LEAVE_ARGUMENT = "leave the argument out"
_ONE_SAMPLE = "leave the batch axis out: shapes are of one sample"
_TESTED = (
    "give what may be missing a default that can be told from other values, as `0`, `false`, "
    '`""` or `[]`, and compare with that'
)

NONES = (
    _none(r"‸(?P<at>is(?:[ \t]+not)?[ \t]+None)\b", _TESTED, accepts="COMPARE"),
    _none(rf"[=!]=\s*{_NONE}", _TESTED),
    _none(rf"\[\s*(?P<out>{_NONE}\s*,\s*)", _ONE_SAMPLE, "", keywords="NET", when=in_index),
    _none(_NONE, _ONE_SAMPLE, keywords="NET", when=in_index),
    _none(rf"{_POOL}(?P<out>{_STRIDE}(?:\s*,\s*)?)", _LEAVE_ARGUMENT, "", when=_is_argument),
    _none(rf"{_POOL}[^()]*?(?P<out>,\s*{_STRIDE})", _LEAVE_ARGUMENT, "", when=_is_argument),
    _none(
        _ARGUMENT, f"{_LEAVE_ARGUMENT} where the default of `{{name}}` will do", when=_is_argument
    ),
    _none(_ARGUMENT, _TESTED, when=inside),
    _none(_NONE, "bind a name where it has its first value"),
)

# ------------------------------------------------------------------- keywords


def _keyword(word: str, code: str, message: str, help: str, write: str | None = None) -> Habit:
    return Habit(code, message, rf"‸(?P<at>{word})\b", help, write, types="NAME")


def _compares_one_kind(found: Found) -> bool:
    place = found.span("at")
    return compares_one_kind(place.source.text, place.start, place.end)


def _identity(words: str, write: str) -> Habit:
    return Habit(
        "E0133",
        "there is no `{at}`",
        rf"‸(?P<at>{words})\b",
        "compare with `{new}`",
        write,
        certain=_compares_one_kind,
        accepts="COMPARE",
    )


KEYWORDS = (
    _identity(r"is[ \t]+not", "!="),
    _identity("is", "=="),
    _keyword(
        "while",
        "E0123",
        "there is no `while`: a net is finite",
        "write `for i in range(n) {{ ... }}`",
    ),
    _keyword("elif", "E0128", "there is no `elif`", "write `else if`", "else if"),
    _keyword("def|class", "E0124", "there is no `{at}`", _BLOCK),
    _keyword("True", "E0131", "there is no `True`", "write `true`", "true"),
    _keyword("False", "E0131", "there is no `False`", "write `false`", "false"),
    _keyword("break", "E0133", "there is no `break`", "restrict the `range`, or use `if`"),
    _keyword("continue", "E0133", "there is no `continue`", "put what follows into an `if`"),
    Habit(
        "E0133",
        "there is no `pass`",
        r"‸(?P<out>(?P<at>pass)\b[ \t]*)",
        "an empty body is `{{ }}`",
        "",
        types="NAME",
    ),
    Habit(
        "E0133",
        "there is no `{at}`",
        rf"^[ \t]*‸(?P<at>{_FOREIGN})\b(?!\s*(?:\+?=|,))",
        types="NAME",
    ),
    Habit("E0133", "`{at}` cannot be a name", rf"‸(?P<at>{_FOREIGN})\b", types="NAME"),
)

# ------------------------------------------------------- variables and strings

_TEXT = r"(?P<at>'(?P<text>(?:[^'\\\"\n]|\\.)*)')"


def _variable(words: str, message: str) -> Habit:
    pattern = rf"\b(?P<out>(?P<at>{words})[ \t]+)‸\w+\s*=(?!=)"
    return Habit("E0159", message, pattern, "leave it out: `=` binds a name", "", types="NAME")


def _prefix(letters: str, help: str, write: str | None = None) -> Habit:
    return Habit("E0137", "a string has no prefix", rf'\b(?P<at>{letters})‸"', help, write)


_quotes = partial(Habit, "E0127", "strings stand in double quotes", help='write `"..."`')

VARIABLES = (
    Habit(
        "E0156",
        "a label that begins with a digit stands in quotes",
        r"(?:->|\bexit)\s*(?P<at>[0-9]+)\s*‸:",
        write='"{at}"',
    ),
    _variable("let|var|val|auto|mut", "there is no `{at}`"),
    _variable("const", "there is no `const` in a body"),
    _prefix("[fF]", "leave out the `{at}`: every string may have holes", ""),
    _prefix("[uU]", "leave out the `{at}`", ""),
    _prefix("(?i:r|b|fr|rf)", "leave out the `{at}`"),
)

QUOTES = (
    _quotes(rf"\b(?P<out>[fFuU]‸{_TEXT})", write='"{text}"'),
    # where it is no f-string, Python has no holes
    _quotes(rf"‸{_TEXT}", write='"{text}"', certain=lambda found: "{" not in found["text"]),
    _quotes(r"‸(?P<at>'(?:[^'\\\n]|\\.)*'?)"),
)

"""The words of syntax errors: a code for each kind of mistake, a word for each terminal.

Codes are stable: they are in people's notes and CI filters. A code is never given a new meaning.
"""

CODES = {
    # the file as such
    "E0101": "the file cannot be read",
    "E0102": "not a regular file",
    "E0103": "the file is too large",
    "E0104": "not UTF-8",
    "E0105": "a character that may not stand in a spec",
    "E0106": "a line is too long",
    "E0107": "too many tokens",
    "E0108": "brackets or braces too deep",
    "E0109": "an expression too deep",
    # what the grammar refuses
    "E0110": "unexpected text",
    "E0111": "an unknown character",
    "E0112": "a bracket is not closed",
    "E0113": "a bracket closes nothing",
    "E0114": "a string is not closed",
    "E0115": "two statements on one line",
    "E0116": "a value is missing",
    "E0117": "the inputs are missing",
    "E0118": "a net's input has no shape",
    "E0119": "an annotation in the wrong place",
    # what other languages have
    "E0120": "semicolons",
    "E0121": "dicts",
    "E0122": "lambdas",
    "E0123": "`while`",
    "E0124": "`def`, `class` and other words for `block` and `net`",
    "E0125": "hexadecimal, octal and binary numbers",
    "E0126": "`&&`, `||` and `!`",
    "E0127": "single quotes",
    "E0128": "`elif`",
    "E0129": "a colon before a body",
    "E0130": "`=` in a condition",
    "E0131": "`True`, `False` and `None`",
    "E0132": "`|>` and `=>`",
    "E0133": "a keyword as a name",
    "E0134": "bitwise operators and matrix products",
    "E0135": "a slice over several axes",
    "E0136": "a type annotation",
    "E0137": "a prefix of a string",
    "E0138": "`:=`",
    "E0139": "`//` for a comment",
    # what the grammar takes and the builder refuses
    "E0140": "an operator beside `->` without parentheses",
    "E0141": "an expression whose result is lost",
    "E0142": "not a target",
    "E0143": "assignment to an element of an element",
    "E0144": "`+=` to something else than a name",
    "E0145": "an unknown kind of parameter",
    "E0146": "an unknown version of the language",
    "E0147": "a positional argument after a named one",
    "E0148": "`*` before a tensor that is not the last",
    # names and numbers
    "E0150": "an integer of too many digits",
    "E0151": "a float too long or not finite",
    "E0152": "a name is too long",
    "E0153": "a name with letters beyond ASCII",
    "E0154": "not a number",
    "E0155": "an import of Python",
    "E0156": "a label written in another way",
    "E0157": "`..`",
    "E0158": "unpacked arguments",
    # strings
    "E0160": "an unknown escape",
    "E0161": "a hole is not closed",
    "E0162": "an empty hole",
    "E0163": "a brace that opens or closes no hole",
    "E0164": "a hole where the string must be plain",
    "E0165": "a format in a hole",
    # the path of an extern layer
    "E0170": "a path that names no class",
    "E0171": "a path into Python's standard library",
}
"""Code -> the kind of mistake, as a title."""

WORDS = {
    "$END": "the end of the file",
    "_NL": "the end of the line",
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a string",
    "ARROW": "`->`",
    "EQUAL": "`=`",
    "PLUS_EQUAL": "`+=`",
    "COMPARE": "a comparison",
    "PLUS_MINUS": "`+` or `-`",
    "STAR": "`*`",
    "POWER": "`**`",
    "MUL_DIV": "`/`, `//` or `%`",
    "COLON": "`:`",
    "COMMA": "`,`",
    "DOT": "`.`",
    "AT": "`@`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "COMMENT": "a comment",
    "WS": "white space",
    "AND": "`and`",
    "ARCH": "`arch`",
    "ASSERT": "`assert`",
    "BLOCK": "`block`",
    "CONST": "`const`",
    "ELSE": "`else`",
    "EXIT": "`exit`",
    "EXTERN": "`extern`",
    "FALSE": "`false`",
    "FOR": "`for`",
    "FROM": "`from`",
    "IF": "`if`",
    "IMPORT": "`import`",
    "IN": "`in`",
    "LAYER": "`layer`",
    "NET": "`net`",
    "NOT": "`not`",
    "OR": "`or`",
    "RETURN": "`return`",
    "SCOPE": "`scope`",
    "TRUE": "`true`",
}
"""Terminal -> what a message calls it."""

RESERVED = frozenset(
    [
        "and",
        "assert",
        "else",
        "exit",
        "false",
        "for",
        "if",
        "in",
        "not",
        "or",
        "return",
        "scope",
        "true",
    ]
)
"""Words that are never names."""

KEYWORDS = frozenset(name for name, word in WORDS.items() if word == f"`{name.lower()}`")
"""The terminals that are words."""

DECLARATIONS = frozenset(["block", "const", "extern", "import", "net"])
"""Words that open a declaration; inside a body they are ordinary names."""

OPENERS = frozenset(
    {"for", "if", "scope", "block", "net", "else", "while", "elif", "def", "class", "with", "try"}
)
"""Words that are followed by a body in braces, here or in the language the author thought of."""

CLOSING = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}

OPERATORS = frozenset(
    [
        "PLUS_MINUS",
        "STAR",
        "MUL_DIV",
        "POWER",
        "COMPARE",
        "ARROW",
        "AND",
        "OR",
        "NOT",
        "IN",
        "IF",
        "DOT",
        "LPAR",
        "LSQB",
    ]
)
"""What may follow any expression; never listed as expected, since something always may."""

_KEYWORDS = [
    "as",
    "async",
    "await",
    "break",
    "class",
    "continue",
    "def",
    "del",
    "elif",
    "except",
    "finally",
    "from",
    "global",
    "import",
    "is",
    "lambda",
    "nonlocal",
    "pass",
    "raise",
    "try",
    "while",
    "with",
    "yield",
]

FOREIGN = {word: ("E0133", f"`{word}` cannot be a name", None) for word in _KEYWORDS} | {
    "while": (
        "E0123",
        "there is no `while`: a net is finite",
        "write `for i in range(n) { ... }`",
    ),
    "elif": ("E0128", "there is no `elif`", "write `else if`"),
    "def": (
        "E0124",
        "there is no `def`",
        "write `block Name(hyperparameters)(x) { ... return y }`",
    ),
    "class": (
        "E0124",
        "there is no `class`",
        "write `block Name(hyperparameters)(x) { ... return y }`",
    ),
    "lambda": ("E0122", "there are no lambdas", "write a `block`, or put the expression in place"),
    "True": ("E0131", "there is no `True`", "write `true`"),
    "False": ("E0131", "there is no `False`", "write `false`"),
    "None": (
        "E0131",
        "there is no `None`",
        "give the parameter a number or bool as its default, or leave the argument out",
    ),
    "is": ("E0133", "there is no `is`", "compare with `==`"),
    "break": ("E0133", "there is no `break`", "restrict the `range`, or use `if`"),
    "continue": ("E0133", "there is no `continue`", "put what follows into an `if`"),
    "pass": ("E0133", "there is no `pass`", "an empty body is `{ }`"),
}
"""Python's keywords that are none here -> code, message, help. They are refused as names since
names of the spec become names in the emitted code."""

"""The words of syntax errors: what messages call the terminals, and Python's keywords.

What the codes mean stands in docs/errors. They are stable, for they are in people's notes and
in filters of CI: a code is never given a new meaning.
"""

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
        "write `block Name(hyperparameters)(x) { ... return y }`; for numbers, a list: "
        "`[2 * i for i in range(n)]`",
    ),
    "class": (
        "E0124",
        "there is no `class`",
        "write `block Name(hyperparameters)(x) { ... return y }`",
    ),
    "lambda": ("E0122", "there are no lambdas", None),
    "True": ("E0131", "there is no `True`", "write `true`"),
    "False": ("E0131", "there is no `False`", "write `false`"),
    "None": ("E0166", "there is no `None`", None),
    "break": ("E0133", "there is no `break`", "restrict the `range`, or use `if`"),
    "continue": ("E0133", "there is no `continue`", "put what follows into an `if`"),
    "pass": ("E0133", "there is no `pass`", "an empty body is `{ }`"),
}
"""Python's keywords that are none here -> code, message, help. They are refused as names since
names of the spec become names in the emitted code."""

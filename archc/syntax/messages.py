"""The words of syntax errors: what messages call the terminals, and Python's keywords.

What the codes mean stands in docs/errors. They are stable, for they are in people's notes and
in filters of CI: a code is never given a new meaning.
"""

import keyword

_RESERVED = "and assert else exit false for if in not or return scope true"
_AT_TIMES = "arch block const extern from import layer net"
_ALL_WORDS = f"{_RESERVED} {_AT_TIMES}".split()

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
} | {word.upper(): f"`{word}`" for word in _ALL_WORDS}
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

KEYWORDS = frozenset(map(str.upper, _ALL_WORDS))
"""The terminals that are words."""

DECLARATIONS = frozenset(["block", "const", "extern", "import", "net"])
"""Words that open a declaration; inside a body they are ordinary names."""

OPENERS = frozenset(
    {"for", "if", "scope", "block", "net", "else", "while", "elif", "def", "class", "with", "try"}
)
"""Words that are followed by a body in braces, here or in the language the author thought of."""

CLOSING = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}

_OPERATORS = "PLUS_MINUS STAR MUL_DIV POWER COMPARE ARROW AND OR NOT IN IF DOT LPAR LSQB"
OPERATORS = frozenset(_OPERATORS.split())
"""What may follow any expression; never listed as expected, since something always may."""

FOREIGN = frozenset(keyword.kwlist) - RESERVED
"""Python's keywords that are none here. They are refused as names since names of the spec become
names in the emitted code."""

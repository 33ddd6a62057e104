"""The kind of a name's values as its text tells it: true or false, a whole number, a string."""

import re

_KINDS = {"bool": r"[Tt]rue|[Ff]alse", "int": r"-?[0-9]+", "str": r"\"[^\"\n]*\"|'[^'\n]*'"}
_END = r"(?=[ \t]*(?:[)\]},:{#\n]|\Z|(?:and|or|else)\b))"
_BEFORE = re.compile(
    r"(?:\b(?:if|and|or|not|assert|return)[ \t]+|[=(,][ \t]*)([A-Za-z_]\w*)[ \t]*$"
)


def compares_one_kind(text: str, start: int, end: int) -> bool:
    """Whether what stands before `start` and behind `end` is a name and a literal of one kind.

    Python's `is` tells `0` from `False`, and `1` from `1.0`; `==` does not.
    """
    line = text[text.rfind("\n", 0, start) + 1 : start]
    name = _BEFORE.search(line)
    if name is None:
        return False
    for kind, literal in _KINDS.items():
        if re.compile(rf"[ \t]*(?:{literal}){_END}").match(text, end):
            return _is_always(text, name[1], kind)
    return False


def _is_always(text: str, name: str, kind: str) -> bool:
    """Whether all that a text binds a name to are literals of one kind, and there is one."""
    if re.search(rf"\b(?:for\b[^{{\n]*\b{name}\b[^{{\n]*\bin\b|{name}[ \t]*\+=)", text):
        return False
    if re.search(rf"\b{name}[ \t]*,[\w \t,]*=(?!=)[^,()\n]*\n", text):  # `name, b = ...`
        return False
    value = rf"\b{name}[ \t]*(?::[ \t]*\w+[ \t]*)?(?<![=!<>])=(?!=)[ \t]*"
    bound = re.findall(value, text)
    return 0 < len(bound) == len(re.findall(rf"{value}(?:{_KINDS[kind]}){_END}", text))

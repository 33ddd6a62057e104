"""The tables and lists of docs/language.md, held to the registry, to torch and to the code."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from documents import ROOT, table_after

from archc.ops.registry import OPS, parameters

LANGUAGE = ROOT / "docs" / "language.md"
OPERATORS = (
    "<!-- operators: compared with the registry and torch by tests/test_language_tables.py -->"
)


def language_word(value: object) -> str:
    """A default as the tables write it."""
    if value is None:
        return "`none`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def parameter_rows() -> Iterator[list[str]]:
    operator = ""
    for row in table_after(LANGUAGE, OPERATORS):
        operator = row[0] or operator
        yield [operator, *row[1:]]


def test_the_operator_table_is_the_registry() -> None:
    expected = []
    for name, cls in OPS.items():
        known = parameters(cls)
        for item in known:
            derived = "the kernel" if item.name == "stride" else "left out"
            default = derived if item.default is None else language_word(item.default)
            default = "required" if item.required else default
            written = f"`{item.name}=`" if item.keyword else f"`{item.name}`"
            expected.append([f"`{name}`", written, item.kind, default])
        if not known:
            expected.append([f"`{name}`", "", "", ""])
    assert [row[:4] for row in parameter_rows()] == expected


def test_the_operator_table_has_the_defaults_of_torch() -> None:
    import torch

    for _, parameter, _, _, theirs, default in parameter_rows():
        path = theirs.strip("`").split(".")
        if theirs == "none":
            continue
        if not parameter or path[0] == "Tensor":
            thing: Any = torch
            for word in path:
                thing = getattr(thing, word)
            continue
        cls = getattr(torch.nn, path[1])
        known = inspect.signature(cls).parameters[path[2]]
        shown = "required" if known.default is known.empty else language_word(known.default)
        if path[1].endswith("Pool2d") and known.default is None:
            shown = "the kernel"
        assert shown == default, theirs


def test_every_operator_is_explained() -> None:
    rows = table_after(LANGUAGE, "## Operators")
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(OPS)


def test_the_limits_are_those_of_the_code() -> None:
    from archc.elaborate.limits import Limits

    text = LANGUAGE.read_text(encoding="utf-8")
    for name, default in vars(Limits()).items():
        (shown,) = re.findall(rf"^\| `{name}` \| ([\d,*]+) \|", text, re.MULTILINE)
        base, _, exponent = shown.replace(",", "").partition("**")
        assert int(base) ** int(exponent or 1) == default, name


def test_annotations_and_functions_are_all_named() -> None:
    from archc.elaborate.builtins import BUILTINS
    from archc.ir.annotations import ANNOTATIONS

    text = LANGUAGE.read_text(encoding="utf-8")
    for name in BUILTINS:
        assert f"`{name}(" in text, name
    for name, annotation in ANNOTATIONS.items():
        assert f"| `@{name}` |" in text
        for parameter in parameters(annotation):
            assert f"`{parameter.name}`" in text
            assert all(f'`"{word}"`' in text for word in parameter.choices)

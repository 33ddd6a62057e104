"""Names for the classes of a net, none of which means something else in the emitted file."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from itertools import combinations

from archc.ir.graph import Hyper, Reference
from archc.lowering.form import Form
from archc.lowering.forms import scope_word
from archc.lowering.items import ChainItem, FunctionItem, Item, ModuleItem
from archc.lowering.values import MEANINGFUL, is_name

_TAKEN = MEANINGFUL | {
    "Tensor",
    "Sequence",
    "int",
    "float",
    "bool",
    "str",
    "list",
    "dict",
    "l",
    "O",
    "I",
}


def class_names(forms: list[Form], net: str, defined: Set[str]) -> dict[int, str]:
    """A class name for each form: the block's, or the scope's label in camel case, without its
    number.

    Of several forms of one block the smallest has the plain name, and the others add what they have
    beyond it or what sets them apart: children (`BottleneckDownsample`), operators
    (`InvertedResidualAdd`), hyperparameters (`MBConvExpand6`); a number where no two of these do.
    Forms that differ in the number of tensors say it: `MSDLayer3To2` takes three and gives two.
    What is called as the net is a part of it: the scope `tree` of the net `Tree` is `TreePart`.
    `defined` are the names of the runtime below.
    """
    taken = {*names_taken(forms), *defined}
    name = _free(net, net, taken)
    names: dict[int, str] = {form.id: name for form in forms if not form.module.path}
    taken.add(name)
    groups: dict[tuple[str, str], list[Form]] = {}
    for base, group in _grouped([form for form in forms if form.module.path], _base).items():
        shown = f"{base}Part" if base in taken else base
        counted = len({len(form.module.first.inputs) for form in group}) > 1
        for count, alike in _grouped(group, _tensors if counted else lambda _: "").items():
            groups[shown, count] = alike
    for (base, count), group in groups.items():
        for form, words in zip(group, _apart(group), strict=True):
            names[form.id] = _free(base + count + words, base + count, taken)
            taken.add(names[form.id])
    return names


def _grouped(forms: Sequence[Form], key: Callable[[Form], str]) -> dict[str, list[Form]]:
    """The forms of each key, in their order."""
    groups: dict[str, list[Form]] = {}
    for form in forms:
        groups.setdefault(key(form), []).append(form)
    return groups


def _apart(group: Sequence[Form]) -> list[str]:
    """For each form the words that set it apart from the others; the smallest needs none."""
    smallest = min(group, key=lambda form: (len(form.body.items), form.id))
    words = {form.id: _words(form, _structural(group)) for form in group}
    found = {smallest.id: ""}
    for form in group:
        if form is not smallest:
            choice = _choices(form, smallest, words)
            found[form.id] = next((each for each in choice if each not in found.values()), "")
    numbered = list(found.values()).count("") > 1
    if numbered and all(form.module.region.block is None for form in group):
        return [_number(form.module.path[-1]) for form in group]
    return [found[form.id] for form in group]


def _choices(form: Form, smallest: Form, words: Mapping[int, Sequence[str]]) -> Iterator[str]:
    """Ways to say what a form is, the best one first."""
    plain = _labels(smallest)
    extra = [label for label in _labels(form) if label not in plain]
    if 0 < len(extra) <= 2 and all(map(is_name, extra)):
        yield "".join(map(camel, extra))
    others = [{*found} for id, found in words.items() if id != form.id]
    for count in (1, 2):
        for chosen in combinations(words[form.id], count):
            if not any(other.issuperset(chosen) for other in others):
                yield "".join(chosen)
    yield from (word for word in words[form.id] if word not in words[smallest.id])


def _structural(group: Sequence[Form]) -> set[str]:
    """The hyperparameters that are the same in all instances of each form."""
    names = {name for name, _ in group[0].module.region.parameters}
    for form in group:
        records = [dict(module.region.parameters) for module in form.modules]
        names = {n for n in names if all(r.get(n) == records[0].get(n) for r in records)}
    return names


def _words(form: Form, structural: Set[str]) -> list[str]:
    """What a form has, in words: children, operators, hyperparameters."""
    words = [camel(label) for label in _labels(form) if scope_word(label) == label]
    words += [camel(item.op) for item in _always(form) if isinstance(item, FunctionItem)]
    for name, value in form.module.region.parameters:
        if name in structural:
            words += _said(name, value)
    return list(dict.fromkeys(words))


def _number(label: str) -> str:
    """The number at the end of a scope's label."""
    return label[len(label.rstrip("0123456789")) :]


def _said(name: str, value: Hyper) -> Iterator[str]:
    """A hyperparameter in a word: `Expand6`, `Identity`, `Project`."""
    match value:
        case bool():
            yield from [camel(name)] if value else []
        case int() if value >= 0:
            yield f"{camel(name)}{value}"
        case Reference():
            yield camel(value.name)
        case str() if is_name(value):
            yield camel(value)


def names_taken(forms: list[Form]) -> set[str]:
    """What neither a class nor an import may be called."""
    return {*_TAKEN, *(parameter.name for form in forms for parameter in form.parameters)}


def _base(form: Form) -> str:
    region = form.module.region
    return region.block or camel(scope_word(region.path[-1]))


def _labels(form: Form) -> list[str]:
    """What the spec calls the children: not their numbers, nor names made of those of blocks."""
    made = {
        child.path[-1]
        for child in form.module.children
        if scope_word(child.path[-1]) == (child.region.block or "").lower()
    }
    items = [item for item in _always(form) if isinstance(item, ModuleItem | ChainItem)]
    labels = (item.label[-1] for item in items)
    return list(dict.fromkeys(each for each in labels if not each.isdigit() and each not in made))


def _always(form: Form) -> Iterator[Item]:
    """The items that all instances have."""
    return (item for i, item in enumerate(form.body.items) if form.choice_at(i) is None)


def _tensors(form: Form) -> str:
    """How many tensors a form takes and gives."""
    return f"{len(form.module.first.inputs)}To{len(form.module.first.outputs)}"


def _free(wanted: str, base: str, taken: set[str]) -> str:
    if wanted not in taken:
        return wanted
    number = 2
    while f"{base}{number}" in taken:
        number += 1
    return f"{base}{number}"


def camel(label: str) -> str:
    """`dense_block1` as a class name: `DenseBlock1`; a label of digits gets a word before it."""
    words = "".join(word[:1].upper() + word[1:] for word in re.split(r"[\W_]", label))
    return words if words[:1].isalpha() else f"Part{words}"

"""Names for the classes of a net, none of which means something else in the emitted file."""

import re
from collections.abc import Set

from archc.lowering.forms import Form, scope_word
from archc.lowering.items import ChainItem, ModuleItem
from archc.lowering.values import MEANINGFUL

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
    """A class name for each form: the block's, or the scope's label in camel case. Of several
    scopes `stage1`, `stage2`, ... with forms of their own, each has the number of its first.

    Of several forms of one block the smallest has the plain name; the others add the labels that
    they have beyond it (`BottleneckDownsample`), or a number where these are more than two. What is
    called as the net is a part of it: the scope `tree` of the net `Tree` is `TreePart`. Forms that
    differ in the number of tensors say it: `Layer3` takes and gives three, `Layer3To2` gives two.
    `defined` are the names of the runtime below.
    """
    taken = {*names_taken(forms), *defined}
    name = _free(net, net, taken)
    names: dict[int, str] = {form.id: name for form in forms if not form.module.path}
    taken.add(name)
    groups: dict[str, list[Form]] = {}
    for form in forms:
        if form.module.path:
            base = _base(form)
            groups.setdefault(f"{base}Part" if base == name else base, []).append(form)
    for base, group in groups.items():
        if len(group) > 1 and all(form.module.region.block is None for form in group):
            for form in group:
                names[form.id] = _free(camel(form.module.path[-1]), base, taken)
                taken.add(names[form.id])
            continue
        ordered = sorted(group, key=lambda form: (len(form.body.items), form.id))
        plain = _labels(ordered[0])
        counted = len({len(form.module.first.inputs) for form in ordered}) > 1
        for form in ordered:
            extra = [label for label in _labels(form) if label not in plain]
            words = "".join(map(camel, extra)) if len(extra) <= 2 else ""
            wanted = base + (_tensors(form) if counted else words)
            names[form.id] = _free(wanted, base, taken)
            taken.add(names[form.id])
    return names


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
    items = [item for item in form.body.items if isinstance(item, ModuleItem | ChainItem)]
    labels = (item.label[-1] for item in items)
    return list(dict.fromkeys(each for each in labels if not each.isdigit() and each not in made))


def _tensors(form: Form) -> str:
    """How many tensors a form takes, and gives if these are other ones."""
    taken, given = len(form.module.first.inputs), len(form.module.first.outputs)
    return f"{taken}" if taken == given else f"{taken}To{given}"


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

"""Forms of one block become one class where a form is another one without some of its items.

The larger form has arguments that say what an instance has; see `optional`. Which forms are one
depends on which of their children are, so the question is asked until the answer stays.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from itertools import chain

from archc.ir.graph import Path
from archc.lowering.form import Form
from archc.lowering.items import Body, ChainItem, FunctionItem, Item
from archc.lowering.optional import along, choices_of, laid_along


@dataclass
class _Union:
    """Forms that become one: their largest, and the bodies of them all as it has them."""

    largest: Form
    parts: dict[int, list[Body]] = field(default_factory=dict)


class Merging:
    """The forms of a net, with the form of each module; those that are `fixed` stay apart."""

    def __init__(
        self, forms: Sequence[Form], of: Mapping[Path, int], fixed: Collection[int]
    ) -> None:
        self.forms = forms
        self.of = of
        self.fixed = fixed
        self.children = {form.id: sorted(set(self._children(form))) for form in forms}

    def run(self) -> list[Form]:
        """The forms that remain, children before parents."""
        same = {form.id: form.id for form in self.forms}
        for _ in self.forms:
            before, groups = same, self._grouped(same)
            same = {id: group.largest.id for group in groups for id in group.parts}
            if same == before:
                break
        else:
            return list(self.forms)
        if len(groups) == len(self.forms):
            return list(self.forms)
        by_largest = {group.largest.id: group for group in groups}
        order = {id: place for place, id in enumerate(self._sorted(same))}
        ids = {id: order[largest] for id, largest in same.items()}
        return [self._one(by_largest[id], ids) for id in order]

    def _children(self, form: Form) -> Iterator[int]:
        """The forms of what a form constructs, inside of `nn.Sequential`s, too."""
        todo = list(form.module.children)
        while todo:
            child = todo.pop()
            if child.path in self.of:
                yield self.of[child.path]
            else:
                todo += child.children

    def _grouped(self, same: Mapping[int, int]) -> list[_Union]:
        groups: list[_Union] = []
        for form in sorted(self.forms, key=lambda form: (-len(form.body.items), form.id)):
            joins = (self._joins(form, group, same, groups) for group in groups)
            if form.id in self.fixed or not any(joins):
                groups.append(_Union(form, {form.id: form.bodies}))
        return groups

    def _joins(
        self, form: Form, group: _Union, same: Mapping[int, int], groups: Sequence[_Union]
    ) -> bool:
        """Whether a form becomes one of a group."""
        largest = group.largest
        if form.kind != largest.kind or largest.id in self.fixed:
            return False
        absent = along(largest.body, form.body, same)
        if absent is None or not _in_one_order(largest, form):
            return False
        bodies = [laid_along(largest.body, body, absent) for body in form.bodies]
        if choices_of([*chain.from_iterable(group.parts.values()), *bodies]) is None:
            return False
        found = {id: each.largest.id for each in groups for id in each.parts}
        if not self._sorted({id: id for id in same} | found | {form.id: largest.id}):
            return False
        group.parts[form.id] = bodies
        return True

    def _sorted(self, same: Mapping[int, int]) -> list[int]:
        """The forms that remain, children before parents; none if one were inside of itself."""
        below: dict[int, list[int]] = {}
        for id, children in self.children.items():
            below.setdefault(same[id], []).extend(same[child] for child in children)
        try:
            return list(TopologicalSorter(below).static_order())
        except CycleError:
            return []

    def _one(self, group: _Union, ids: Mapping[int, int]) -> Form:
        largest = group.largest
        modules = [module for id in group.parts for module in self.forms[id].modules]
        bodies = [_called(body, ids) for body in chain.from_iterable(group.parts.values())]
        return Form(ids[largest.id], largest.kind, bodies[0], modules, bodies)


def _in_one_order(largest: Form, form: Form) -> bool:
    """Whether both make what they have in common in one order, that of the keys."""
    one, other = largest.module.owned, form.module.owned
    common = one.keys() & other.keys()
    return sorted(common, key=one.__getitem__) == sorted(common, key=other.__getitem__)


def _called(body: Body, ids: Mapping[int, int]) -> Body:
    """A body with other numbers of forms."""
    return replace(body, items=tuple(_with_form(item, ids) for item in body.items))


def _with_form(item: Item, ids: Mapping[int, int]) -> Item:
    if isinstance(item, ChainItem):
        return replace(item, body=_called(item.body, ids))
    if isinstance(item, FunctionItem) or item.form is None:
        return item
    return replace(item, form=ids[item.form])

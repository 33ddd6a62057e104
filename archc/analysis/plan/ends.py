"""What lives in the forward pass because something else does.

A value that has a recipe keeps what the recipe is made of. A function that no output needs lives as
long as its result, or a function that reads that; so does what it keeps. (What outputs need lives
until the backward pass has used it.)
"""

from collections.abc import Iterable, Sequence

from archc.analysis.plan.schedule import Schedule
from archc.analysis.plan.values import Function, Value


def hold_what_values_need(schedule: Schedule, values: Iterable[Value]) -> None:
    """Let what recipes are made of live as long as the values that have them."""
    ends = _ends(schedule)
    for value in values:
        if value.recipe is not None and value.tensor is not None:
            for leaf in value.recipe.leaves():
                schedule.hold(leaf, ends[value.tensor])


def hold_what_functions_keep(
    schedule: Schedule, functions: Sequence[Function], outputs: Sequence[Value]
) -> None:
    """Let what functions keep live that no output needs, of all `functions` in their order."""
    needed = _behind([value.source for value in outputs if value.source is not None])
    ends = _ends(schedule)
    last: dict[Function, int] = {}
    for function in reversed(functions):
        if function in needed:
            continue
        end = max(last.get(function, -1), ends.get(function.result or "", -1))
        for leaf in (leaf for each in function.kept for leaf in each.leaves()):
            schedule.hold(leaf, end)
        for source in function.edges:
            last[source] = max(end, last.get(source, end))


def _ends(schedule: Schedule) -> dict[str, int]:
    """The last step until now that uses each tensor, or that it is held through."""
    ends = {id: i for i, step in enumerate(schedule.steps) for id in (*step.reads, *step.writes)}
    for id, step in schedule.holds.items():
        ends[id] = max(step, ends.get(id, step))
    return ends


def _behind(functions: Sequence[Function]) -> set[Function]:
    """Some functions, and all that their gradients reach."""
    found, stack = set(functions), list(functions)
    while stack:
        for source in stack.pop().edges:
            if source not in found:
                found.add(source)
                stack.append(source)
    return found

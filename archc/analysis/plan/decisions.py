"""What becomes of each tensor, and why, in words."""

from collections.abc import Sequence

from archc.analysis.plan.schedule import Decision, Liveness, Schedule, Tensor


def decide(schedule: Schedule, live: Liveness) -> None:
    """Set `decision` and `why` of all tensors of a schedule."""
    readers: dict[str, list[str]] = {}
    for step in schedule.steps:
        for id in step.reads:
            if step.phase != "forward":
                readers.setdefault(id, []).append(step.op)
    start = schedule.backward_start
    for tensor in schedule.tensors.values():
        tensor.decision, tensor.why = _decision(schedule, live, tensor, readers, start)


def _decision(
    schedule: Schedule, live: Liveness, tensor: Tensor, readers: dict[str, list[str]], start: int
) -> tuple[Decision, str]:
    id, span = tensor.id, live.tensors[tensor.id]
    read_by = _listed(readers.get(id, []))
    if tensor.kind == "input":
        return "kept", "the caller has it"
    if tensor.inplace_of is not None:
        return "shared", f"added to {tensor.inplace_of} in place"
    if tensor.alias_of is not None:
        return "shared", f"lies in {tensor.alias_of}"
    if id in schedule.outputs:
        return "kept", "a result of the net"
    if id.startswith("scratch:"):
        return "freed", f"what {schedule.steps[span.first].op} needs for a moment"
    if span.first < start and id in schedule.recomputed and span.last < start:
        return "recomputed", "cheap to compute again for the backward pass"
    if id.startswith("again:"):
        return "recomputed", f"computed again for {read_by}" if read_by else "made beside another"
    if span.first < start <= span.last:
        return "kept", f"needed by {read_by}" if read_by else "needed to compute others again"
    last = schedule.steps[span.last].op if schedule.steps else ""
    return "freed", f"last used by {last} (step {span.last})"


def _listed(ops: Sequence[str]) -> str:
    """The first of several names, and how many more there are."""
    names = list(dict.fromkeys(ops))
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more

"""Whether a plan holds, judged from its JSON alone."""

from bisect import bisect
from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]


def problems(plan: Json) -> list[str]:
    """All that is wrong with a plan; an empty list proves it."""
    tensors = {tensor["id"]: tensor for tensor in plan["tensors"]}
    found = [*_order(plan, tensors), *_spans(plan, tensors), *_places(plan, tensors)]
    return [*found, *_overlaps(plan, tensors)]


def _order(plan: Json, tensors: Mapping[str, Json]) -> list[str]:
    """What is read was written before; steps are counted, and nothing is written twice."""
    found, written = [], set(plan["inputs"])
    for number, step in enumerate(plan["schedule"]):
        if step["step"] != number:
            found.append(f"step {number} is called {step['step']}")
        unknown = [id for id in step["reads"] if id not in written]
        found += [f"step {number} reads {id}, which nothing has written" for id in unknown]
        for id in step["writes"]:
            if id in written:
                found.append(f"step {number} writes {id} again")
            written.add(id)
    found += [f"{id} is never written" for id in tensors if id not in written]
    found += [f"the output {id} is never written" for id in plan["outputs"] if id not in written]
    return found


def _spans(plan: Json, tensors: Mapping[str, Json]) -> list[str]:
    """A tensor lives in each step that uses it, and outputs live at the end."""
    found = []
    for number, step in enumerate(plan["schedule"]):
        found += [
            f"step {number} uses {id} outside of its life"
            for id in (*step["reads"], *step["writes"])
            if not tensors[id]["first_use"] <= number <= tensors[id]["last_use"]
        ]
    last = len(plan["schedule"]) - 1
    found += [f"{id} is gone" for id in plan["outputs"] if tensors[id]["last_use"] != last]
    return found


def _places(plan: Json, tensors: Mapping[str, Json]) -> list[str]:
    """Everything lies in the arena, an alias inside of what it is an alias of."""
    found = []
    for tensor in tensors.values():
        end = tensor["offset"] + tensor["bytes"]
        if not 0 <= tensor["offset"] <= end <= plan["arena_bytes"]:
            found.append(f"{tensor['id']} ends at {end}, outside of the arena")
        if tensor["alias_of"] is not None:
            whole, start = tensors[tensor["alias_of"]], tensor["alias_offset"]
            if tensor["offset"] != whole["offset"] + start:
                found.append(f"{tensor['id']} is not where its alias is")
            if start < 0 or start + tensor["bytes"] > whole["bytes"]:
                found.append(f"{tensor['id']} leaves {whole['id']}")
            if tensor["first_use"] < whole["first_use"]:
                found.append(f"{tensor['id']} lives before {whole['id']}")
        elif tensor["inplace_of"] is not None:
            over = tensors[tensor["inplace_of"]]
            if (tensor["offset"], tensor["bytes"]) != (over["offset"], over["bytes"]):
                found.append(f"{tensor['id']} is not in place of {over['id']}")
        elif tensor["offset"] % plan["alignment"]:
            found.append(f"{tensor['id']} is not aligned")
    return found


def _overlaps(plan: Json, tensors: Mapping[str, Json]) -> list[str]:
    """No two tensors that live at a time share bytes, unless one lies in the other by intent.

    What lives in a step lies side by side, so that a new tensor can only meet its neighbours.
    """
    lives: dict[str, list[int]] = {}
    for tensor in tensors.values():
        owner = tensor
        while owner["alias_of"] is not None or owner["inplace_of"] is not None:
            owner = tensors[owner["alias_of"] or owner["inplace_of"]]
        life = lives.setdefault(owner["id"], [tensor["first_use"], tensor["last_use"]])
        life[0] = min(life[0], tensor["first_use"])
        life[1] = max(life[1], tensor["last_use"])
    starts: dict[int, list[str]] = {}
    ends: dict[int, list[str]] = {}
    for id, (first, last) in lives.items():
        starts.setdefault(first, []).append(id)
        ends.setdefault(last + 1, []).append(id)
    found: list[str] = []
    live: list[tuple[int, int, str]] = []
    for number in range(len(plan["schedule"])):
        for id in ends.get(number, ()):
            live.remove(_place(tensors[id]))
        for id in starts.get(number, ()):
            place = _place(tensors[id])
            at = bisect(live, place)
            found += [
                f"{id} and {other} overlap in step {number}"
                for start, end, other in live[max(at - 1, 0) : at + 1]
                if place[0] < end and start < place[1]
            ]
            live.insert(at, place)
    return found


def _place(tensor: Json) -> tuple[int, int, str]:
    return tensor["offset"], tensor["offset"] + tensor["bytes"], tensor["id"]

"""Blocks of which some instances lack a child, an operator or an activation: one class, and each
instance computes what its own graph says."""

import re
from pathlib import Path
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreter import run_graph

import archc
from archc.compiler import Request, compile_spec

BLOCKS = """
block Unit(out, activation=relu)(x) {
    return x -> conv: conv(out, 3) -> norm: bn -> act: activation
}

block Bottle(out, first=true, second=true, gated=true, projected=true, joined=true)(x) {
    a = x
    if first { a = x -> norm0: bn -> relu }
    y = a -> unit1: Unit(out)
    if second { y = y -> down: conv(out, 3) -> down_norm: bn }
    if gated { y = y -> gate: conv(out, 1) -> sigmoid }
    y = y -> unit2: Unit(out, activation=identity)
    if joined {
        if projected { scope shortcut { x = a -> "0": conv(out, 1) -> "1": bn } }
        y = y + x
    }
    return y
}
"""
FLAGS = ("first", "second", "gated", "projected", "joined")


def spec_of(instances: list[set[str]]) -> str:
    """A net of blocks, each with some of the flags; the first one has all."""
    lines = ["net N()(image: [8, 6, 6]) {", "    x = image"]
    for number, flags in enumerate([set(FLAGS), *instances]):
        given = ", ".join(f"{flag}={str(flag in flags).lower()}" for flag in FLAGS)
        lines.append(f'    x = x -> "part{"abcdef"[number]}": Bottle(8, {given})')
    return BLOCKS + "\n".join([*lines, "    return x", "}", ""])


DRAWN = st.sets(st.sampled_from(FLAGS)).map(
    lambda flags: flags | {"projected"} if "joined" in flags else flags
)


@given(st.lists(DRAWN, min_size=1, max_size=4), st.booleans())
@settings(max_examples=6, derandomize=True)
def test_instances_that_lack_something_share_a_class(found: list[set[str]], passes: bool) -> None:
    """Of several instances, those with a sum project its other operand: without that, two that
    differ in their first part may still need a class each."""
    spec = archc.loads(spec_of(found), O0=not passes)
    source = spec.source
    assert len(re.findall(r"^class Bottle", source, re.MULTILINE)) == 1
    net = spec.build().double().eval()
    graph = compile_spec(Request("spec", text=spec_of(found), passes=())).graph
    state = net.state_dict()
    keys = [
        ".".join((*(node.layer.path or ()), weight.name))
        for node, weights in sorted(graph.weights(), key=lambda pair: pair[0].layer.order)
        for weight in weights
    ]
    assert list(state) == keys
    image = torch.randn(2, 8, 6, 6, dtype=torch.float64)
    (wanted,) = run_graph(graph, [image], state, training=False)
    assert torch.allclose(net(image), wanted, rtol=1e-9, atol=1e-9)


def test_what_is_absent_has_no_keys_and_is_none() -> None:
    net = archc.loads(spec_of([{"joined"}]), O0=True).build()
    part: Any = net.partb
    assert part.shortcut is part.gate is part.down is part.norm0 is None
    assert {key.split(".")[1] for key in net.state_dict() if key.startswith("partb")} == {
        "unit1",
        "unit2",
    }


def test_a_block_inside_of_itself_is_no_class_that_contains_itself(tmp_path: Path) -> None:
    path = tmp_path / "spec.arch"
    path.write_text(
        "block X(depth)(x) {\n"
        "    if depth > 0 { x = x -> inner: Y(depth - 1) }\n"
        "    return x -> conv: conv(4, 3)\n"
        "}\n"
        "block Y(depth)(x) {\n"
        "    if depth > 0 { x = x -> inner: X(depth - 1) }\n"
        "    return x -> norm: bn -> conv: conv(4, 1)\n"
        "}\n"
        "net N()(image: [4, 6, 6]) { return image -> a: X(3) -> b: Y(2) -> c: X(0) }\n"
    )
    net = archc.load(path, O0=True).build()
    assert net(torch.zeros(1, 4, 6, 6)).shape == (1, 4, 6, 6)

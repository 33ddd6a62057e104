"""Specs with extern layers, as texts: written, compiled, and what they give."""

from pathlib import Path

from archc.compiler import Compilation, Request, compile_spec
from archc.ops.op import TensorType


def compiled(folder: Path, text: str, net: str | None = None, **request: object) -> Compilation:
    path = folder / "spec.arch"
    path.write_text(text)
    return compile_spec(Request(str(path), net, **request))  # type: ignore[arg-type]


def body(declaration: str, line: str, shape: str = "[8, 16, 16]") -> str:
    return f"extern layer {declaration}\nnet N()(x: {shape}) {{ {line} }}\n"


def output(folder: Path, text: str, net: str | None = None) -> TensorType:
    graph = compiled(folder, text, net).graph
    return graph.node(graph.outputs[0].node).type

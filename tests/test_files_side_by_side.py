"""Emitted files in one process: each computes with the runtime that is written into it."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import emitted
import pytest
import torch
from torch import Tensor, nn

SPEC = """
import "blocks/dense"

net OneBlock()(image: [4, 8, 8]) {
    return image -> block: DenseBlock(2, 4)
}
"""


def load(path: Path, text: str) -> ModuleType:
    """A file as a module that is not in `sys.modules`, as of two files with one name."""
    path.write_text(text, encoding="utf-8")
    place = importlib.util.spec_from_file_location("model", path)
    assert place is not None
    assert place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def build(module: ModuleType) -> nn.Module:
    torch.manual_seed(0)
    net: nn.Module = getattr(module, module.__all__[0])()
    return net.double()


def step(net: nn.Module, x: Tensor) -> list[Tensor]:
    """Output and gradients of a step whose blocks are operators of torch."""
    net.zero_grad()
    y = torch.compile(net, backend="aot_eager", fullgraph=True)(x)
    torch.autograd.backward(y.square().sum())
    return [y, *(p.grad for p in net.parameters() if p.grad is not None)]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    torch.compiler.reset()


def test_two_runtimes_and_one_file_under_two_names_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / "one_block.arch").write_text(SPEC, encoding="utf-8")
    text = emitted.emit(tmp_path / "one_block.arch").source
    other = text.replace("torch.addcmul(shift, x, scale)", "torch.addcmul(shift, x, scale * 2)")
    assert other != text
    texts = {"one.py": text, "other.py": other, "again.py": text}
    modules = {name: load(tmp_path / name, text) for name, text in texts.items()}
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    nets = {name: build(module) for name, module in modules.items()}
    results: dict[str, list[list[Tensor]]] = {name: [] for name in nets}
    for _ in range(2):
        for name, net in nets.items():
            results[name].append(step(net, x))
    for first, second in results.values():
        assert torch.equal(first[0], second[0])
    assert all(map(torch.equal, results["one.py"][0], results["again.py"][0]))
    assert not torch.allclose(results["one.py"][0][0], results["other.py"][0][0])
    operators = {name: str(module.DENSE_BLOCK) for name, module in modules.items()}
    assert operators["one.py"] == operators["again.py"] != operators["other.py"]


def test_a_text_that_is_run_without_a_file(tmp_path: Path) -> None:
    """As when it is pasted into an interpreter: twice, and the runtimes do not meet either."""
    (tmp_path / "one_block.arch").write_text(SPEC, encoding="utf-8")
    text = emitted.emit(tmp_path / "one_block.arch").source
    results, operators = [], []
    for _ in range(2):
        scope: dict[str, Any] = {"__name__": "__main__"}
        exec(text, scope)
        torch.manual_seed(0)
        net = scope[scope["__all__"][0]]().double()
        x = torch.ones(2, 4, 8, 8, dtype=torch.float64) + torch.arange(8)
        results.append(net(x))
        operators.append(str(scope["DENSE_BLOCK"]))
    assert torch.equal(*results)
    assert operators[0] != operators[1]

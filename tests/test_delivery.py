"""How an emitted file comes to archc's runtime: it has it inside, or imports it."""

import os
import subprocess
import sys
from pathlib import Path

import emitted
import pytest
import torch
from command_line import run

import archc
from archc.cache import import_source

BINARY = """
net Binary()(image: [3, 8, 8]) {
    return image -> conv1: conv(4, 3) -> sign_ste -> global_avg_pool -> fc: linear(3)
}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def model_part(source: str) -> str:
    """The classes, without the header, the imports and the runtime."""
    return source.partition("__all__")[2].partition(emitted.RUNTIME_HEADING)[0].rstrip()


def archc_lines(source: str) -> list[str]:
    return [line for line in source.splitlines() if line.startswith("from archc")]


@pytest.mark.parametrize(
    ("spec", "imported"),
    [
        (
            "densenet_cifar",
            [
                "from archc.runtime.dense_block import dense_block, shares_storage",
                "from archc.runtime.memory import set_memory",
                "from archc.runtime.norm_relu import norm_relu",
                "from archc.runtime.recipes import Rebuilding",
            ],
        ),
        ("vgg", []),
    ],
)
def test_the_model_is_the_same_text_in_both(spec: str, imported: list[str]) -> None:
    inline, imports = (
        run("compile", spec, "--runtime", delivery).stdout for delivery in ("inline", "import")
    )
    assert inline == run("compile", spec).stdout
    assert model_part(inline) == model_part(imports)
    assert archc_lines(inline) == []
    assert archc_lines(imports) == imported
    assert emitted.RUNTIME_HEADING not in imports


def test_the_header_says_what_the_file_needs() -> None:
    for options, needs in (
        (["densenet_cifar"], "torch >= 2.11."),
        (["densenet_cifar", "--runtime", "import"], "torch >= 2.11 and archc."),
        (["densenet_cifar", "--runtime", "import", "-O0"], "torch >= 2.11."),
    ):
        header = run("compile", *options).stdout.split('"""')[1]
        assert " ".join(header.split()).endswith(f"; needs {needs}")
        assert ("--runtime import" in header) == ("--runtime" in options)


def test_what_operators_call_is_imported(tmp_path: Path) -> None:
    spec = tmp_path / "binary.arch"
    spec.write_text(BINARY)
    source = run("compile", str(spec), "--runtime", "import").stdout
    assert archc_lines(source) == ["from archc.runtime.sign_ste import sign_ste"]
    assert import_source(source, "Binary").Binary()(torch.ones(2, 3, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize("spec", ["densenet_cifar", "resnet_cifar", "msdnet_cifar", "xnor_net"])
def test_a_file_that_imports_the_runtime_is_free_of_lint(spec: str, tmp_path: Path) -> None:
    run("compile", spec, "--runtime", "import", "-o", str(tmp_path / "model.py"))
    for command in (["check", "--extend-select", "I"], ["format", "--check"]):
        words = [sys.executable, "-m", "ruff", *command, "--isolated", "--line-length", "100"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


STEP = """
import sys, torch
net = torch.load(sys.argv[1], weights_only=False)
y = net.train()(torch.load(sys.argv[2]))
y.square().sum().backward()
torch.save([y, *(p.grad for p in net.parameters()), *net.buffers()], sys.argv[3])
"""


def test_a_built_net_is_unpickled_by_another_process(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = archc.load("densenet_cifar", depth=10, growth=4).build().double()
    images = torch.randn(2, 3, 32, 32).double()
    files = [str(tmp_path / name) for name in ("net.pt", "images.pt", "step.pt")]
    torch.save(net, files[0])
    torch.save(images, files[1])
    words = [sys.executable, "-W", "error", "-c", STEP, *files]
    root = str(Path(archc.__file__).parents[1])
    subprocess.run(words, check=True, timeout=120, env={**os.environ, "PYTHONPATH": root})
    y = net.train()(images)
    y.square().sum().backward()
    ours = [y, *(p.grad for p in net.parameters()), *net.buffers()]
    theirs = torch.load(files[2])
    assert len(ours) == len(theirs)
    assert all(map(torch.allclose, ours, theirs))

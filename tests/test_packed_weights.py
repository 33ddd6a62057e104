"""Binary weights in files of a bit for each: what is packed computes the same."""

import re
from pathlib import Path

import emitted
import pytest
import safetensors.torch
import torch
from command_line import run
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from archc.diagnostics import ArchError
from archc.train.packed import packed, unpacked
from archc.train.trained import read_file

BINARY = """\
import "blocks/binary"

net Binary(classes=5, input_scale=true)(image: [3, 8, 8]) {
    x = image -> conv1: conv(21, 3) -> relu -> conv2: BinaryConv(40, 3, input_scale=input_scale)
    return x -> conv3: BinaryConv(classes, input_scale=input_scale) -> global_avg_pool
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def binary(folder: Path) -> nn.Module:
    """A spec with binary convolutions, and the net whose weights are in a file."""
    Path("binary.arch").write_text(BINARY)
    net = emitted.emit("binary.arch").build(seed=4).eval()
    with torch.no_grad():
        net.get_parameter("conv2.weight")[1, 2, 0] = 0
        net.get_parameter("conv2.weight")[7] = 0
    safetensors.torch.save_file(net.state_dict(), "wide.safetensors")
    return net


def test_binary_weights_are_packed_and_compute_the_same(binary: nn.Module) -> None:
    packing = ("binary.arch", "wide.safetensors", "--pack-binary", "-o", "packed.safetensors")
    result = run("weights", *packing)
    assert result.exit_code == 0, result.output
    said = re.search(r"([\d,]+) bytes are ([\d,]+) packed, ([\d.]+) times fewer", result.stderr)
    assert said
    assert int(said[2].replace(",", "")) == Path("packed.safetensors").stat().st_size
    stored = safetensors.torch.load_file("packed.safetensors")
    assert stored["conv2.weight.signs"].shape == (40, (21 * 9 + 7) // 8)
    assert len(stored["conv2.weight.zeros"]) == 3 + 21 * 9
    assert "conv3.weight.zeros" not in stored
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    wanted = binary(images)
    unpacking = ("binary.arch", "packed.safetensors", "-o", "unpacked.safetensors")
    assert run("weights", *unpacking).exit_code == 0
    found = safetensors.torch.load_file("unpacked.safetensors")
    assert not torch.equal(found["conv2.weight"], binary.get_parameter("conv2.weight"))
    for state in (found, read_file("packed.safetensors")):
        other = emitted.emit("binary.arch").build().eval()
        other.load_state_dict(dict(state), strict=True)
        assert torch.equal(other(images), wanted)


@given(
    st.integers(1, 5), st.integers(1, 300), st.integers(0, 2**32), st.sampled_from([1e-6, 1, 1e6])
)
def test_means_are_kept_to_the_last_bit(n: int, width: int, seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(n, width, 1, 1, generator=generator) * scale
    weight[torch.rand(weight.shape, generator=generator) < 0.1] = 0
    state, metadata = packed({"w": weight, "other": torch.ones(2)}, ["w"])
    found = unpacked(state, metadata)
    assert found.keys() == {"w", "other"}
    assert torch.equal(found["w"].sign(), weight.sign())
    assert torch.equal(found["w"].abs().mean((1, 2, 3)), weight.abs().mean((1, 2, 3)))


def test_nets_without_binary_weights_are_not_packed(folder: Path) -> None:
    Path("tiny.arch").write_text("net Tiny()(image: [3, 8, 8]) { return image -> c: conv(4, 3) }")
    safetensors.torch.save_file(
        emitted.emit(Path("tiny.arch").resolve()).build().state_dict(), "w.safetensors"
    )
    result = run("weights", "tiny.arch", "w.safetensors", "--pack-binary", "-o", "p.safetensors")
    assert result.exit_code == 1
    assert "error[E1042]: `Tiny` has no weights of which it reads only" in result.stderr
    assert not Path("p.safetensors").exists()


def test_weights_that_are_no_numbers_are_not_packed() -> None:
    with pytest.raises(ArchError, match="some weights of `w` are no finite numbers"):
        packed({"w": torch.tensor([[torch.nan]])}, ["w"])

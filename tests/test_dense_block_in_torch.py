"""Dense blocks that share their storage, where torch does more than call them."""

import os
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from dense_modules import Block, Shape, block, error, images, step
from torch import Tensor
from torch._C._distributed_c10d import FileStore
from torch._dynamo.backends.common import aot_autograd
from torch._functorch._aot_autograd.utils import make_boxed_func
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

import archc.runtime.dense_block
from archc.runtime.block_function import DENSE_BLOCK

BLOCK = 1e-12
MEMORIES: tuple[str, ...] = ("keep", "off")


def shares(y: Tensor) -> bool:
    """Whether a dense block's function gave y, of which it is a view."""
    assert y.grad_fn is not None
    node = y.grad_fn.next_functions[0][0]
    return node is not None and node.name() == "DenseBlockFunctionBackward"


# ------------------------------------------------------------------------ when storage is shared


def test_it_is_one_node_of_the_graph_in_training() -> None:
    made = block(Shape(), "keep")
    assert shares(made(images(Shape())))
    assert not shares(block(Shape(), "off")(images(Shape())))


def test_the_plain_modules_run_in_evaluation_and_where_nothing_is_differentiated() -> None:
    made, x = block(Shape(), "keep"), images(Shape())
    plain = block(Shape(), "off")
    assert torch.equal(made.eval()(x), plain.eval()(x))
    assert not shares(made(x))
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            assert torch.equal(made.train()(x), plain.train()(x))
    for parameter in made.parameters():
        parameter.requires_grad_(False)
    assert torch.equal(made(x), plain(x))
    assert shares(made(x.requires_grad_()))


def test_exported_programs_hold_operators_of_torch_only() -> None:
    made, x = block(Shape(), "keep"), images(Shape())
    program = torch.export.export(made, (x,))
    names = [str(n.target) for n in program.graph.nodes if n.op == "call_function"]
    assert names
    assert all(name.startswith(("aten.", "<built-in")) for name in names)


def test_transforms_of_functorch_take_the_plain_modules() -> None:
    x = images(Shape())
    gradients = []
    for memory in MEMORIES:
        made = block(Shape(), memory).eval()
        weights = {name: p.detach() for name, p in made.named_parameters()}

        def loss(weights: dict[str, Tensor], made: Block = made) -> Tensor:
            y: Tensor = torch.func.functional_call(made, weights, (x,))
            return y.square().sum()

        gradients.append(torch.func.grad(loss)(weights))
    assert all(map(torch.equal, gradients[0].values(), gradients[1].values()))


# --------------------------------------------------------------------------- what autograd allows


def test_backward_may_run_twice_and_gradients_add_up() -> None:
    made, x = block(Shape(), "recompute"), images(Shape()).requires_grad_()
    y = made(x).square().sum()
    y.backward(retain_graph=True)
    once = {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}
    y.backward()
    assert x.grad is not None
    assert len(once) == len(list(made.parameters()))
    assert all(
        torch.allclose(p.grad, 2 * once[name], rtol=1e-12, atol=0)
        for name, p in made.named_parameters()
        if p.grad is not None
    )


def test_the_gradient_from_outside_is_left_as_it_is() -> None:
    made, x = block(Shape(), "keep"), images(Shape()).requires_grad_()
    y = made(x)
    outside = torch.randn(y.shape, dtype=y.dtype).contiguous(memory_format=torch.channels_last)
    before = outside.clone()
    torch.autograd.grad(y, [x, *made.parameters()], outside)
    assert torch.equal(outside, before)


def test_differentiating_twice_is_refused() -> None:
    made, x = block(Shape(), "keep"), images(Shape()).requires_grad_()
    with pytest.raises(RuntimeError, match="cannot be differentiated twice"):
        torch.autograd.grad(made(x).sum(), x, create_graph=True)


def test_hooks_of_the_block_run() -> None:
    made = block(Shape(), "keep")
    seen: list[object] = []
    made.register_forward_hook(lambda _module, _args, y: seen.append(y.shape))
    made.register_full_backward_hook(lambda _module, _gradients, given: seen.append(len(given)))
    made(images(Shape()).requires_grad_()).sum().backward()
    assert len(seen) == 2


# -------------------------------------------------------------------------------------- autocast


@pytest.mark.parametrize("memory", ["keep", "recompute"])
@pytest.mark.parametrize("entering", [torch.float32, torch.bfloat16])
def test_under_autocast_it_is_as_exact_as_the_plain_modules(
    memory: Any, entering: torch.dtype
) -> None:
    shape = Shape(channels=8, growths=(4,) * 6, width=16)
    x = images(shape, 4, 12)
    exact = step(block(shape), x)
    errors, results = [], []
    for mode in (memory, "off"):
        made = block(shape, mode, torch.float32)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            results.append(step(made, x.to(entering)))
        gradients = zip(results[-1].gradients.values(), exact.gradients.values(), strict=True)
        errors.append(sum(float((a - b).norm() / b.norm()) for a, b in gradients))
    ours, plain = results
    assert ours.output.dtype == plain.output.dtype
    assert ours.input_gradient.dtype == plain.input_gradient.dtype
    assert errors[0] < 1.25 * errors[1]


def test_whole_modules_in_bfloat16_train() -> None:
    made, x = block(Shape(), "keep", torch.bfloat16), images(Shape()).bfloat16()
    plain = block(Shape(), "off", torch.bfloat16)
    assert error(step(made, x), step(plain, x)) < 0.2
    assert step(made, x).output.dtype == torch.bfloat16


# ------------------------------------------------------------------------------------ compilation


class Counting:
    """A backend that keeps the graphs that it is given, and runs them as they are."""

    def __init__(self) -> None:
        self.graphs: list[list[str]] = []
        self.backend = aot_autograd(fw_compiler=self._note, bw_compiler=self._note)

    def _note(self, graph: torch.fx.GraphModule, _inputs: list[Tensor]) -> Any:
        calls = (node for node in graph.graph.nodes if node.op == "call_function")
        self.graphs.append([str(node.target) for node in calls])
        return make_boxed_func(graph.forward)


@pytest.mark.parametrize("shape", [Shape(dropout=0.3), Shape(width=None, momentum=None)])
def test_it_compiles_to_one_graph_with_one_operator_each_way(shape: Shape) -> None:
    counting, x = Counting(), images(shape)
    made = block(shape, "keep")
    results = []
    for function in (made, torch.compile(made, backend=counting.backend, fullgraph=True)):
        made.load_state_dict(block(shape).state_dict())
        made.zero_grad()
        torch.manual_seed(0)
        y = function(x)
        y.square().sum().backward()
        gradients = [p.grad.clone() for p in made.parameters() if p.grad is not None]
        results.append([y, *gradients, *(b.clone() for b in made.buffers())])
    assert all(torch.allclose(a, b, rtol=BLOCK, atol=BLOCK) for a, b in zip(*results, strict=True))
    forward, backward = counting.graphs
    assert [name for name in forward + backward if name.startswith("archc_")] == [
        f"{DENSE_BLOCK.default.namespace}.{name}.default"
        for name in ("dense_block", "dense_block_backward")
    ]
    assert not any("clone" in name or "cat" in name for name in forward + backward)


@pytest.mark.parametrize("shape", [Shape(dropout=0.3), Shape(width=None), Shape(track=False)])
def test_what_the_compiler_is_told_of_the_operator_is_true(shape: Shape) -> None:
    """Shapes, strides, dtypes and gradients, with and without a bottleneck and its dropout."""
    made, calls = block(shape, "keep"), []

    def note(*arguments: Any) -> list[Tensor]:
        calls.append(arguments)
        results: list[Tensor] = DENSE_BLOCK(*arguments)
        return results

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archc.runtime.dense_block, "DENSE_BLOCK", note)
        patch.setattr(torch.compiler, "is_compiling", lambda: True)
        made(images(shape))
    (call,) = calls
    checks = ("test_schema", "test_faketensor")
    torch.library.opcheck(DENSE_BLOCK, call, test_utils=checks)


# ----------------------------------------------------------------------------------- distribution


def _shard(rank: int, folder: str) -> None:
    """What comes of sharding the parameters of a block, and of a layer in it."""
    torch.set_num_threads(1)
    store = FileStore(f"{folder}/store", 1)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=1, timeout=_PATIENCE)
    mesh = init_device_mesh("cpu", (1,))
    whole, part = block(Shape(), "keep"), block(Shape(), "keep")
    fully_shard(whole, mesh=mesh)
    fully_shard(part.get_submodule("layer1"), mesh=mesh)
    y = whole(images(Shape()))
    y.square().sum().backward()
    gradients = [p.grad.full_tensor() for p in whole.parameters()]  # type: ignore[union-attr]
    with warnings.catch_warnings(record=True) as said:
        z = part(images(Shape()))
    words = [str(each.message) for each in said]
    torch.save((shares(y), y.detach(), gradients, z.detach(), words), f"{folder}/sharded.pt")
    os._exit(0)  # as below


def test_fsdp_shards_whole_blocks_and_below_they_are_plain(tmp_path: Path) -> None:
    start: Any = spawn
    start(_shard, (str(tmp_path),), nprocs=1)
    shared, y, gradients, z, words = torch.load(tmp_path / "sharded.pt", weights_only=True)
    plain = block(Shape(), "off")
    expected = plain(images(Shape()))
    expected.square().sum().backward()
    assert shared
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-12)
    assert torch.equal(z, expected)
    for gradient, parameter in zip(gradients, plain.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-8, atol=1e-10)
    assert ["a FSDPLayer in it has a hook" in word for word in words] == [True]


def _train(rank: int, folder: str) -> None:
    """Two steps on half of the images; what both ranks have afterwards."""
    torch.set_num_threads(1)
    store = FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=_PATIENCE)
    made = DistributedDataParallel(block(Shape(track=False), "keep"))
    optimizer = torch.optim.SGD(made.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        made(images(Shape(), 4)[2 * rank : 2 * rank + 2]).square().mean().backward()
        optimizer.step()
    torch.save(made.module.state_dict(), f"{folder}/rank{rank}.pt")
    dist.barrier()
    os._exit(0)  # torch joins gloo's threads with the interpreter locked, and may wait for ever


_PATIENCE = timedelta(seconds=120)


def test_it_trains_under_distributed_data_parallel(tmp_path: Path) -> None:
    start: Any = spawn
    start(_train, (str(tmp_path),), nprocs=2)
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2)]
    plain = block(Shape(track=False), "off")
    optimizer = torch.optim.SGD(plain.parameters(), 0.1)
    x = images(Shape(), 4)
    halves = (x[:2], x[2:])
    for _ in range(2):
        optimizer.zero_grad()
        (sum(plain(half).square().mean() for half in halves) / 2).backward()
        optimizer.step()
    for name, tensor in plain.state_dict().items():
        assert torch.equal(ranks[0][name], ranks[1][name])
        assert torch.allclose(ranks[0][name], tensor, rtol=1e-10, atol=1e-12)

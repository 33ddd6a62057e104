"""Values that are built again, where others decide what is kept, or trace what runs."""

import pytest
import torch
from growing_net import assert_same, dense_pair, image, numbers, pair
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from archc.runtime.memory import set_memory

# ------------------------------------------------------------------ others' hooks


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("memory", ["keep", "recompute", "off"])
def test_a_checkpoint_around_the_net(reentrant: bool, memory: str) -> None:
    plain, shared = dense_pair()
    set_memory(shared, memory)
    results = []
    for model in (plain, shared):
        x = image(3, 3, 32, 32)
        y = checkpoint(model, x, use_reentrant=reentrant)
        assert isinstance(y, Tensor)
        torch.autograd.backward(y.square().sum())
        grads = [p.grad for p in (x, *model.parameters()) if p.grad is not None]
        results.append([y, *grads, *model.buffers()])
    assert_same(*results, exact=False)


@pytest.mark.parametrize("part", ["features.transition1", "features.denseblock2", "features"])
def test_a_checkpoint_in_the_net(part: str) -> None:
    results = []
    for model in dense_pair():
        inner = model.get_submodule(part)
        plain = inner.forward
        inner.forward = lambda x, plain=plain: checkpoint(plain, x, use_reentrant=False)
        x = image(3, 3, 32, 32)
        y = model(x)
        torch.autograd.backward(y.square().sum())
        results.append([y, *(p.grad for p in (x, *model.parameters()) if p.grad is not None)])
    assert_same(*results, exact=False)


@pytest.mark.parametrize("training", [False, True])
def test_torch_fx_traces_the_plain_modules(training: bool) -> None:
    """As feature extractors and quantisation do."""
    plain, shared = dense_pair()
    traced = torch.fx.symbolic_trace(shared.train(training))
    x = image(2, 3, 32, 32)
    with torch.no_grad():
        assert_same([traced(x)], [plain.train(training)(x)], exact=False)
    assert {"features.denseblock1.denselayer1.norm1"} <= {str(n.target) for n in traced.graph.nodes}


def test_within_hooks_of_others_all_is_given_to_them() -> None:
    """They decide what is kept: the concatenation with 16 channels is theirs to drop."""
    shared = pair()[1]
    seen: list[Tensor] = []

    def pack(saved: Tensor) -> Tensor:
        seen.append(saved)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        shared(image(2, 4, 5, 5))
    assert any(saved.dim() == 4 and saved.shape[1] == 16 for saved in seen)


def test_values_that_are_offloaded() -> None:
    plain, shared = pair()
    found = []
    for model in (plain, shared):
        x = image(2, 4, 5, 5)
        with torch.autograd.graph.save_on_cpu():
            y = model(x)
        found.append([y, torch.autograd.grad(y.square().sum(), x)[0]])
    assert_same(*found)


@pytest.mark.parametrize("place", ["norm", "pool"])
def test_a_hook_runs_and_what_it_gives_is_kept(place: str) -> None:
    plain, shared = dense_pair()
    calls: list[str] = []

    def hook(module: nn.Module, _: object, y: Tensor) -> Tensor:
        calls.append(type(module).__name__)
        return y * 2

    results = []
    for model in (plain, shared):
        getattr(model.get_submodule("features.transition1"), place).register_forward_hook(hook)
    results.append(numbers(plain, image(3, 3, 32, 32)))
    with pytest.warns(UserWarning, match="has a hook, so it runs as torch runs it"):
        results.append(numbers(shared, image(3, 3, 32, 32)))
    assert len(calls) == 2
    assert_same(*results, exact=False)


# ------------------------------------------------------------------ transforms


def test_function_transforms_take_the_plain_path() -> None:
    plain, shared = dense_pair()
    x = image(3, 3, 32, 32).detach()
    found = []
    for model in (plain, shared):
        model.eval()
        parameters: dict[str, Tensor] = dict(model.named_parameters())

        def loss(parameters: dict[str, Tensor], x: Tensor, model: nn.Module = model) -> Tensor:
            y: Tensor = torch.func.functional_call(model, parameters, (x,))
            return y.square().sum()

        grads = torch.func.grad(loss)(parameters, x)
        each = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, x[:, None])
        found.append([*grads.values(), *each.values()])
    assert_same(*found, exact=False)


def test_tracing_takes_the_plain_path() -> None:
    plain, shared = dense_pair()
    x = image(2, 3, 32, 32).detach()
    with pytest.warns(DeprecationWarning, match="trace"):
        traced = torch.jit.trace(shared.eval(), x)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(traced(x), plain.eval()(x), rtol=1e-9, atol=1e-9)


def test_autocast() -> None:
    """Values are built again in the precision that they had."""
    found = []
    for model in pair():
        model.float()
        x = image(2, 4, 5, 5).detach().float().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            y = model(x)
        torch.autograd.backward(y.float().square().sum())
        assert x.grad is not None
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        found.append([y, x.grad, *grads, *model.buffers()])
    assert found[0][0].dtype is torch.bfloat16
    assert_same(*found)

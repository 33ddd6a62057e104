"""Values that are built again, among the other things that torch does with a net."""

import copy
import io
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import emitted
import pytest
import torch
from growing_net import DENSE, assert_same, dense_pair, image, numbers, pair
from torch import Tensor, nn

from archc.runtime.memory import set_memory
from archc.runtime.rebuild import concat
from archc.runtime.recipes import RECIPES, Rebuilding

# ------------------------------------------------------------------ autograd


def test_a_graph_is_run_again_as_long_as_it_is_retained() -> None:
    plain, shared = pair()
    grads = []
    for model in (plain, shared):
        x = image(2, 4, 5, 5)
        y = model(x).square().sum()
        once = [torch.autograd.grad(y, x, retain_graph=True)[0] for _ in range(3)]
        grads.append([*once, torch.autograd.grad(y, x)[0]])
        with pytest.raises(RuntimeError, match="second time"):
            torch.autograd.grad(y, x)
    assert_same(*grads)
    assert all(torch.equal(grads[1][0], grad) for grad in grads[1])


def test_a_part_of_the_gradients_may_be_asked_for_in_turns() -> None:
    plain, shared = pair()
    grads = []
    for model in (plain, shared):
        y = model(image(2, 4, 5, 5)).square().sum()
        weights = list(model.parameters())
        grads.append([torch.autograd.grad(y, w, retain_graph=True)[0] for w in reversed(weights)])
    assert_same(*grads)


@pytest.mark.parametrize("act", [torch.sigmoid, torch.relu], ids=["sigmoid", "relu"])
def test_second_derivatives(act: Callable[[Tensor], Tensor]) -> None:
    plain, shared = pair(act=act)
    found = []
    for model in (plain, shared):
        x = image(2, 4, 5, 5)
        (grad,) = torch.autograd.grad(model(x).square().sum(), x, create_graph=True)
        torch.autograd.backward(grad.square().sum())
        found.append([grad, *(p.grad for p in model.parameters() if p.grad is not None)])
    assert_same(*found)


def test_a_part_that_was_changed_in_place_is_as_it_was() -> None:
    """As it is in the result of `torch.cat`."""

    class Changing(nn.Module):
        def __init__(self, memory: str) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.conv = nn.Conv2d(6, 2, 1)
            set_memory(self, memory)

        def forward(self, x: Tensor) -> Tensor:
            with Rebuilding(self):
                x = x * 2
                y: Tensor = self.conv(concat([x, x]))
                x.add_(1)
                return y

    found = []
    for memory in ("keep", "off"):
        model = Changing(memory)
        torch.autograd.backward(model(torch.ones(1, 3, 4, 4, requires_grad=True)).square().sum())
        assert model.conv.weight.grad is not None
        found.append([model.conv.weight.grad])
    assert_same(*found)


@pytest.mark.parametrize("what", ["the image", "a weight"])
def test_what_was_changed_before_the_backward_pass_is_an_error(what: str) -> None:
    """Torch's own check sees what autograd keeps, but not what a hook hands to it."""
    for model in dense_pair():
        x = image(2, 3, 32, 32)
        y = model(x.clone() if what == "a weight" else (x := x.detach())).sum()
        with torch.no_grad():
            (x if what == "the image" else model.get_parameter("classifier.weight")).zero_()
        with pytest.raises(RuntimeError, match=r"in ?place"):
            torch.autograd.backward(y)


def test_a_value_that_was_changed_in_place_is_kept() -> None:
    """Torch computes with the changed value, and so does the backward pass."""

    class Changing(nn.Module):
        def __init__(self, memory: str) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.conv = nn.Conv2d(6, 2, 1)
            set_memory(self, memory)

        def forward(self, x: Tensor) -> Tensor:
            with Rebuilding(self):
                y = concat([x, x])
                y.mul_(3)
                result: Tensor = self.conv(concat([y]))
                return result

    found = []
    for memory in ("keep", "off"):
        model = Changing(memory)
        torch.autograd.backward(model(torch.ones(1, 3, 4, 4, requires_grad=True)).sum())
        assert model.conv.weight.grad is not None
        found.append([model.conv.weight.grad])
    assert_same(*found)


def test_what_is_left_behind() -> None:
    """Neither an exception nor a run without gradients leaves recipes or hooks."""
    _, shared = pair()
    with pytest.raises(RuntimeError):
        shared(image(2, 5, 5, 5))
    assert RECIPES.get() is None
    assert torch._C._autograd._top_saved_tensors_default_hooks(True) is None
    with torch.no_grad():
        assert shared(image(2, 4, 5, 5)).grad_fn is None
    assert RECIPES.get() is None


def test_results_can_be_saved() -> None:
    """What a net gives carries nothing but its numbers, even where it is a concatenation."""

    class Features(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with Rebuilding(self):
                return concat([x * 2, x])

    y = Features()(torch.ones(1, 2, 3, 3, requires_grad=True))
    file = io.BytesIO()
    torch.save(y, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=True), y)
    assert not vars(y)


# ------------------------------------------------------------------ the module


def test_copies_and_pickles() -> None:
    plain, shared = pair()
    file = io.BytesIO()
    torch.save(shared, file)
    file.seek(0)
    expected = numbers(copy.deepcopy(plain), image(2, 4, 5, 5))
    for model in (copy.deepcopy(shared), torch.load(file, weights_only=False)):
        assert_same(numbers(model, image(2, 4, 5, 5)), expected)


def test_evaluation_with_gradients() -> None:
    plain, shared = dense_pair()
    x = image(3, 3, 32, 32)
    assert_same(numbers(plain.eval(), x), numbers(shared.eval(), x), exact=False)


def synchronised(model: nn.Module) -> nn.Module:
    convert: Callable[[nn.Module], nn.Module] = nn.SyncBatchNorm.convert_sync_batchnorm
    return convert(model)


def negated(kind: type[nn.Module]) -> type[nn.Module]:
    return type("Negated", (kind,), {"forward": lambda self, x: -kind.forward(self, x)})


def test_a_layer_of_a_class_from_elsewhere_is_called() -> None:
    """A dense block does not know what it computes, so all of its layers are."""
    results = []
    for model in dense_pair():
        layer = model.get_submodule("features.denseblock1.denselayer1")
        layer.__class__ = negated(type(layer))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*as torch runs it")
            results.append(numbers(model, image(3, 3, 32, 32)))
    assert_same(*results, exact=False)


def test_the_dropout_of_a_layer_acts_in_the_training_of_that_layer() -> None:
    net = emitted.emit("densenet_cifar", **DENSE, dropout_rate=0.5).build().double()
    block, x = net.get_submodule("features.denseblock1"), image(2, 8, 8, 8)
    assert not torch.equal(block(x), block(x))
    for layer in block.children():
        layer.eval()
    assert torch.equal(block(x), block(x))


def test_synchronised_norms_are_plain() -> None:
    """Outside of a process group they compute what batch norms do, in evaluation."""
    plain, shared = pair()
    converted = synchronised(shared).eval()
    x = image(2, 4, 5, 5)
    assert_same(numbers(plain.eval(), x), numbers(converted, x))


def test_synchronised_norms_in_a_dense_block_are_plain() -> None:
    plain, shared = dense_pair()
    converted = synchronised(shared).eval()
    x = image(3, 3, 32, 32)
    assert_same(numbers(plain.eval(), x), numbers(converted, x), exact=False)


def test_two_threads() -> None:
    """Each has recipes of its own, for its own net."""
    models = [pair()[1] for _ in range(2)]
    expected = [numbers(copy.deepcopy(model), image(2, 4, 5, 5)) for model in models]
    found: list[list[Tensor]] = [[], []]

    def train(i: int) -> None:
        for _ in range(5):
            found[i] = numbers(copy.deepcopy(models[i]), image(2, 4, 5, 5))

    threads = [threading.Thread(target=train, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ours, theirs in zip(found, expected, strict=True):
        assert_same(ours, theirs)


def test_one_net_in_two_threads() -> None:
    """As replicas are run: forward and backward in turns, of one set of weights."""
    model = pair()[1].eval()
    x = image(2, 4, 5, 5)
    (expected,) = torch.autograd.grad(model(x).square().sum(), x)
    found: list[Tensor] = []

    def differentiate() -> None:
        for _ in range(5):
            own = image(2, 4, 5, 5)
            found.append(torch.autograd.grad(model(own).square().sum(), own)[0])

    threads = [threading.Thread(target=differentiate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 10
    assert all(torch.equal(grad, expected) for grad in found)


# ------------------------------------------------------------------ several files


def test_two_files_and_one_file_twice_in_turns(tmp_path: Path) -> None:
    """Each computes with the runtime that stands in it, compiled or not."""
    text = emitted.emit("densenet_cifar", **DENSE).source
    other = text.replace("y = torch.convolution(", "y = -torch.convolution(")
    assert other != text
    models = []
    for name, source in {"one": text, "other": other, "two": text}.items():
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        models.append(emitted.build_from(path, seed=1).double())
    x = image(3, 3, 32, 32)
    plain = numbers(dense_pair()[0], x)[:2]

    def in_turns(models: Sequence[Callable[[Tensor], Tensor]]) -> list[list[Tensor]]:
        results = [model(x) for model in models]
        return [
            [y, torch.autograd.grad(y.square().sum(), x, retain_graph=True)[0]] for y in results
        ]

    eager = in_turns(models)
    compiled = in_turns([torch.compile(model, backend="eager") for model in models])
    for one, different, two in (eager, compiled):
        assert_same(one, plain, exact=False)
        assert_same(two, plain, exact=False)
        assert not torch.allclose(different[0], plain[0])
    assert_same(compiled[1][:1], eager[1][:1], exact=False)


def test_a_net_reads_what_another_file_gives(tmp_path: Path) -> None:
    """A concatenation leaves a net as a plain tensor, for the other cannot build it again."""
    spec = tmp_path / "joined.arch"
    spec.write_text(
        """
net Joined(channels=4)(x: [channels, 8, 8]) {
    y = concat(x, x -> a: conv(4, 3)) -> b: conv(2, 3) -> norm: bn -> relu
    return concat(x, y)
}
"""
    )
    found = []
    for memory in ("off", "keep"):
        nets = [emitted.emit(spec, channels=n).build(memory=memory).double() for n in (4, 6)]
        found.append(numbers(nn.Sequential(*nets), image(2, 4, 8, 8)))
    assert_same(*found)

"""What people do to the modules of a net that is there, and what then comes of training it."""

import copy
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import emitted
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fuse_conv_bn_eval, prune

from archc.passes.parse import parse_passes
from archc.passes.pipeline import DEFAULT

RERUN = parse_passes("simplify,share-memory{recompute=true}")

SPECS = {
    "dense": """
import "blocks/dense"

net Net(classes=5)(image: [3, 12, 12]) {
    x = image -> stem: conv(8, 3) -> block: DenseBlock(3, 4)
    return x -> norm: bn -> relu -> global_avg_pool -> fc: linear(classes)
}
""",
    "transition": """
import "blocks/dense"

net Net(classes=5)(image: [3, 12, 12]) {
    x = image -> stem: conv(8, 3) -> dense: DenseBlock(3, 4) -> block: Transition
    return x -> norm: bn -> relu -> global_avg_pool -> fc: linear(classes)
}
""",
    "joined": """
block Layer(width)(x) { return x -> conv: conv(width, 3) -> norm: bn -> relu }

net Net(classes=5)(image: [3, 12, 12]) {
    scope block {
        x = image -> stem: Layer(8)
        y = x -> first: Layer(4)
        z = concat(x, y) -> second: Layer(4)
    }
    return concat(x, z, y) -> last: conv(6, 3) -> global_avg_pool -> fc: linear(classes)
}
""",
    "pooled": """
block Shrink(width)(x) {
    return x -> norm: bn -> relu -> conv: conv(width, 1) -> pool: avg_pool(2)
}

net Net(classes=5)(image: [3, 12, 12]) {
    x = image -> stem: conv(8, 3)
    x = concat(x, x -> bn1: bn -> relu -> conv1: conv(8, 3)) -> block: Shrink(6)
    return x -> global_avg_pool -> fc: linear(classes)
}
""",
    "rerun": """
import "blocks/residual"

net Net(classes=5)(image: [3, 12, 12]) {
    x = image -> stem: conv(8, 3) -> max_pool(2)
    scope block { for i in range(3) { x = x -> "{i}": BasicBlock(8) } }
    return x -> global_avg_pool -> fc: linear(classes)
}
""",
}
"""Nets with one of all that runs in the place of modules, in a part called `block`."""


def built(folder: Path) -> dict[str, nn.Module]:
    """The nets, with weights as in the middle of a training."""
    made = {}
    for name, text in SPECS.items():
        path = folder / f"{name}.arch"
        path.write_text(text)
        passes = RERUN if name == "rerun" else DEFAULT
        made[name] = emitted.emit(path, passes=passes).build(seed=1).double()
        with torch.no_grad():
            for parameter in made[name].parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return made


def without_runtime(net: nn.Module) -> nn.Module:
    plain = copy.deepcopy(net)
    sys.modules[type(net).__module__].set_memory(plain, "off")
    return plain


def in_channels_last(net: nn.Module) -> nn.Module:
    """Dense blocks give this order, in which a dropout behind them draws its noise."""
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def trained(net: nn.Module, steps: int = 2) -> list[Tensor]:
    """What comes of training steps: outputs, gradients, buffers."""
    found: list[Tensor] = []
    for step in range(steps):
        torch.manual_seed(step)
        x = torch.randn(4, 3, 12, 12, dtype=torch.float64, requires_grad=True)
        torch.manual_seed(step + 10)
        net.zero_grad()
        y = net(x * 1)
        torch.autograd.backward(y.square().sum())
        assert x.grad is not None
        found += [y.detach(), x.grad, *(p.grad for p in net.parameters() if p.grad is not None)]
        found += [buffer.clone() for buffer in net.buffers()]
    return found


def outcome(net: nn.Module) -> list[Tensor] | str:
    """What comes of training; where torch refuses writes in place, that."""
    try:
        return trained(net)
    except RuntimeError as refusal:
        assert re.search(r"in[- ]?place", str(refusal))
        return "refused"


def assert_as_plain(ours: list[Tensor] | str, plain: list[Tensor] | str) -> None:
    """What torch trains is trained, to the same numbers."""
    if isinstance(plain, str):
        return
    assert not isinstance(ours, str)
    assert len(ours) == len(plain)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


Surgery = Callable[[nn.Module, str], object]
"""What is done at a place of a net."""


class OtherNorm(nn.GroupNorm):
    """A norm of somebody's own."""


class Negated(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return -super().forward(x)


class Noisy(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.randn(1, dtype=x.dtype)


class Doubling(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def put(net: nn.Module, path: str, module: nn.Module) -> None:
    owner, _, name = path.rpartition(".")
    setattr(net.get_submodule(owner), name, module.double())


def norms_of(net: nn.Module, path: str) -> list[str]:
    """Batch norms at a place and below."""
    part = net.get_submodule(path)
    found = [name for name, m in part.named_modules() if isinstance(m, nn.BatchNorm2d)]
    return [f"{path}.{name}".strip(".") for name in found]


def convs_of(net: nn.Module, path: str) -> list[str]:
    part = net.get_submodule(path)
    found = [name for name, m in part.named_modules() if isinstance(m, nn.Conv2d)]
    return [f"{path}.{name}".strip(".") for name in found]


def _norm(make: Callable[[int], nn.Module]) -> Surgery:
    def replace(net: nn.Module, path: str) -> None:
        first = norms_of(net, path)[-1]
        norm: Any = net.get_submodule(first)
        put(net, first, make(norm.num_features))

    return replace


def _conv(change: Callable[[nn.Conv2d], object]) -> Surgery:
    def apply(net: nn.Module, path: str) -> None:
        for name in convs_of(net, path):
            conv: Any = net.get_submodule(name)
            change(conv)

    return apply


def _each(kind: type[nn.Module], change: Callable[[Any], object]) -> Surgery:
    def apply(net: nn.Module, path: str) -> None:
        for module in [*net.get_submodule(path).modules()]:
            if isinstance(module, kind):
                change(module)

    return apply


def _noisy(net: nn.Module, path: str) -> None:
    name = convs_of(net, path)[0]
    conv: Any = net.get_submodule(name)
    conv.__class__ = Noisy


def _mask(_module: nn.Module, _inputs: Any, output: Tensor | tuple[Tensor, ...]) -> None:
    for y in output if isinstance(output, tuple) else (output,):
        y[:, :1] = 0


def hooked(module: nn.Module) -> None:
    """Something writes into what the module gives."""
    module.register_forward_hook(_mask)


def hooked_before(module: nn.Module) -> None:
    """Something writes into what the module is given."""
    module.register_forward_pre_hook(lambda _, inputs: _mask(module, (), inputs))


def _scale(_module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0] * 1.5,)


def _fused(net: nn.Module, path: str) -> None:
    """A convolution takes over what the norm behind it does, with statistics that stay."""
    names = [*net.get_submodule(path).named_modules()]
    for (_, conv), (name, norm) in zip(names, names[1:], strict=False):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            fused = fuse_conv_bn_eval(copy.deepcopy(conv).eval(), copy.deepcopy(norm).eval())
            conv.bias = nn.Parameter(fused.bias.detach())  # type: ignore[union-attr]
            conv.weight = nn.Parameter(fused.weight.detach())
            put(net, f"{path}.{name}".strip("."), nn.Identity())
            return


_prune: Any = prune.random_unstructured


def _own_forward(net: nn.Module, path: str) -> None:
    conv: Any = net.get_submodule(convs_of(net, path)[-1])

    def doubled(self: nn.Conv2d, x: Tensor) -> Tensor:
        y: Tensor = self._conv_forward(x, self.weight, self.bias)
        return 2 * y

    conv.forward = types.MethodType(doubled, conv)


def _own_conv_forward(net: nn.Module, path: str) -> None:
    conv: Any = net.get_submodule(convs_of(net, path)[-1])
    conv._conv_forward = lambda x, weight, bias: F.conv2d(
        x, 2 * weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups
    )


SURGERIES: dict[str, Surgery] = {
    "group norm": _norm(lambda n: nn.GroupNorm(1, n)),
    "a group norm of somebody's own": _norm(lambda n: OtherNorm(1, n)),
    "no norm": _norm(lambda _: nn.Identity()),
    "a batch norm of somebody's own": _norm(Negated),
    "instance norm": _norm(lambda n: nn.InstanceNorm2d(n, affine=True)),
    "norm in a sequence": _norm(lambda n: nn.Sequential(nn.BatchNorm2d(n), nn.Dropout(0.3))),
    "a batch norm without affine": _norm(lambda n: nn.BatchNorm2d(n, affine=False)),
    "another momentum": _each(nn.BatchNorm2d, lambda norm: setattr(norm, "momentum", 0.5)),
    "another eps": _each(nn.BatchNorm2d, lambda norm: setattr(norm, "eps", 0.5)),
    "frozen norms": _each(nn.BatchNorm2d, lambda norm: norm.eval()),
    "a noisy convolution": _noisy,
    "weight norm": _conv(nn.utils.parametrizations.weight_norm),
    "spectral norm": _conv(nn.utils.parametrizations.spectral_norm),
    "weight norm by a hook": _conv(torch.nn.utils.weight_norm),
    "spectral norm by a hook": _conv(torch.nn.utils.spectral_norm),
    "pruned": _conv(lambda conv: _prune(conv, "weight", 0.5)),
    "reflecting": _conv(lambda conv: setattr(conv, "padding_mode", "reflect")),
    "hook": _each(nn.Conv2d, lambda conv: conv.register_forward_hook(lambda m, i, y: y * 2)),
    "hook of a norm": _each(nn.BatchNorm2d, lambda n: n.register_forward_hook(_mask)),
    "hook before": _each(nn.BatchNorm2d, lambda n: n.register_forward_pre_hook(_scale)),
    "hook that writes": lambda net, path: net.get_submodule(path).register_forward_hook(_mask),
    "hook of gradients": _each(
        nn.Conv2d, lambda c: c.register_full_backward_hook(lambda m, i, o: (i[0] * 2,))
    ),
    "fused": _fused,
    "own forward": _own_forward,
    "own way to convolve": _own_conv_forward,
    "frozen weights": _each(nn.Conv2d, lambda conv: conv.requires_grad_(False)),
    "evaluating": lambda net, path: net.get_submodule(path).eval(),
    "a module more": lambda net, path: net.get_submodule(path).add_module("more", Doubling()),
}

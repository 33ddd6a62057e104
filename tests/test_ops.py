"""Every operator of the registry against torch: what it claims is what torch does."""

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from interpreter import Interpreter
from meanings import FORMULAS
from operands import Case
from strategies import CASES, cases
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from archc.ops.op import Op, Saved, TensorType, TorchArg, TorchFunction, TorchModule
from archc.ops.registry import OPS, parameters
from archc.ops.size import Size
from archc.runtime.drop_block import drop_block
from archc.runtime.drop_path import drop_path
from archc.runtime.max_dropout import max_dropout
from archc.runtime.shake_shake import shake_shake
from archc.runtime.sign_ste import sign_ste

BATCH = 3
NAMES = sorted(OPS)
TWO_FORMS = [
    name
    for name, cls in sorted(OPS.items())
    if cls.module is not Op.module and cls.function is not Op.function
]
RUNTIME = {f.__name__: f for f in (drop_block, drop_path, max_dropout, shake_shake, sign_ste)}

WHOLE = ("flatten", "reshape", "space_to_depth")
"""These want sizes that are numbers, or multiples."""
CONVOLUTIONS = ("conv", "conv_transpose", "apply_conv", "apply_conv_transpose")

few = settings(max_examples=25, deadline=None)
few_of_many = settings(few, suppress_health_check=[HealthCheck.filter_too_much])
"""For what holds of few of an operator's uses: `reshape` has a module form for vectors only."""
each_operator = pytest.mark.parametrize("name", NAMES)


# ------------------------------------------------------------------ an operator's text, made real


def _written(args: Sequence[TorchArg]) -> str:
    given = [arg for arg in args if arg.value != arg.default]
    return ", ".join(repr(a.value) if a.positional else f"{a.name}={a.value!r}" for a in given)


class Called(nn.Module):
    """A layer that is an attribute of its parent: `self.layer(x)`, or `self.layer` itself."""

    def __init__(self, text: TorchModule) -> None:
        super().__init__()
        made = eval(f"{text.cls}({_written(text.args)})", {"nn": nn, "torch": torch})
        self.layer = nn.Parameter(made * text.times) if text.parameter else made
        self.text = text

    def forward(self, *operands: Tensor) -> Tensor:
        names = {f"x{i}": operand for i, operand in enumerate(operands)}
        code = self.text.text.format(*names, operands=", ".join(names), layer="self.layer")
        return cast(Tensor, eval(code, {"self": self, **names}))


class Functional(nn.Module):
    """A layer that is an expression in its parent's `forward`."""

    def __init__(self, text: TorchFunction, operands: int) -> None:
        super().__init__()
        names = [f"x{i}" for i in range(operands)]
        values = {arg.name: repr(arg.value) for arg in text.args}
        shown = _written(text.args)
        template = text.template if shown else text.template.replace(", {args}", "")
        self.code = template.format(*names, operands=", ".join(names), args=shown, **values)
        for name in names[2:] if text.folds else []:
            self.code = template.format(self.code, name)

    def forward(self, *operands: Tensor) -> Tensor:
        names = {f"x{i}": operand for i, operand in enumerate(operands)}
        scope = {"self": self, "torch": torch, "F": nn.functional, **RUNTIME, **names}
        return cast(Tensor, eval(self.code, scope))


def forms(case: Case) -> list[nn.Module]:
    """The operator's module form and its functional form, where it has them."""
    module, function = case.op.module(*case.types), case.op.function(*case.types)
    made: list[nn.Module] = [Called(module)] if module else []
    return [*made, Functional(function, len(case.types))] if function else made


def weights_of(layer: nn.Module) -> dict[str, Tensor]:
    """A layer's state_dict with names below the layer; the tensors themselves, not copies."""
    named = {**dict(layer.named_parameters()), **dict(layer.named_buffers())}
    return {key.removeprefix("layer").removeprefix("."): named[key] for key in layer.state_dict()}


def randomise(layer: nn.Module) -> None:
    """Weights other than their initial ones, so that no scale is 1 and no shift 0 by chance."""
    for weight in weights_of(layer).values():
        if weight.is_floating_point():
            nn.init.uniform_(weight, 0.5, 1.5)


def operands_of(case: Case) -> list[Tensor]:
    """Random operands whose gradients can be asked for, in storages of their own."""
    shapes = [
        cast(tuple[int, ...], (BATCH, *t.shape) if t.batched else t.shape) for t in case.types
    ]
    return [torch.randn(shape).requires_grad_() for shape in shapes]


def run(
    layer: Callable[..., Tensor], operands: Sequence[Tensor], weights: Sequence[Tensor] = ()
) -> list[Tensor | None]:
    """The output, and the gradients of the operands and weights for a fixed output gradient."""
    torch.manual_seed(1)
    out = layer(*operands)
    wanted = [t for t in (*operands, *weights) if t.requires_grad]
    if not out.requires_grad:
        return [out]
    slope = torch.linspace(-1, 1, out.numel()).reshape(out.shape)
    return [out, *torch.autograd.grad(out, wanted, slope, allow_unused=True)]


def assert_same(ours: Sequence[Tensor | None], theirs: Sequence[Tensor | None]) -> None:
    """Bit for bit."""
    for a, b in zip(ours, theirs, strict=True):
        if a is None or b is None:
            assert a is b
        else:
            assert torch.equal(a, b)


# ------------------------------------------------------------------ every operator


def test_each_registered_operator_has_a_strategy_and_a_meaning() -> None:
    missing = {name for name in OPS if name not in CASES or not hasattr(Interpreter, name)}
    assert not missing, f"write a line in tests/strategies.py, a method in interpreter: {missing}"
    assert set(CASES) <= set(OPS)


@each_operator
@given(data=st.data())
@few
def test_infer_gives_the_shape_of_the_real_result(name: str, data: st.DataObject) -> None:
    case = data.draw(cases(name))
    batch = (BATCH,) if case.out.batched else ()
    for layer in forms(case):
        assert layer(*operands_of(case)).shape == (*batch, *case.out.shape)


@each_operator
@given(data=st.data())
@few
def test_weights_are_the_state_dict_of_the_real_module(name: str, data: st.DataObject) -> None:
    case = data.draw(cases(name))
    for layer in forms(case):
        trained = dict(layer.named_parameters())
        real = [
            (key.removeprefix("layer").removeprefix("."), tuple(t.shape), key in trained, t.dtype)
            for key, t in layer.state_dict().items()
        ]
        dtypes = {"float": torch.float32, "int64": torch.int64}
        weights = case.op.weights(*case.types)
        assert [(w.name, w.shape, w.trained, dtypes[w.dtype]) for w in weights] == real


@each_operator
@given(data=st.data())
@few
def test_saves_is_what_autograd_keeps(name: str, data: st.DataObject) -> None:
    case = data.draw(cases(name))
    claimed = Counter(_claimed(saved, case) for saved in case.op.saves(case.types, case.out))
    for layer in forms(case):
        # A product of one operand with itself keeps one storage; operands here are distinct.
        assert _kept(layer, operands_of(case)) == claimed


def _claimed(saved: Saved, case: Case) -> tuple[str, int]:
    if saved.what == "output":
        return "output", 0
    if saved.what == "input":
        return f"input {saved.operand}", 0
    size = {"float": 4, "float32": 4, "mask": 4, "int64": 8}[saved.dtype]
    elements = TensorType(saved.shape).elements if saved.shape else 1
    assert elements is not None
    return "new", elements * size * (BATCH if saved.per_sample else 1)


def _kept(layer: nn.Module, operands: Sequence[Tensor]) -> Counter[tuple[str, int]]:
    """The storages that autograd keeps, weights apart: which, and the bytes of what is new."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.nbytes():
            kept[storage.data_ptr()] = storage.nbytes()
        keep_alive.append(tensor)
        return tensor

    keep_alive: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = layer(*operands)
    names = {out.untyped_storage().data_ptr(): "output"}
    names |= {t.untyped_storage().data_ptr(): f"input {i}" for i, t in enumerate(operands)}
    own = {t.untyped_storage().data_ptr() for t in weights_of(layer).values()}
    return Counter(
        (names[place], 0) if place in names else ("new", size)
        for place, size in kept.items()
        if place not in own
    )


@each_operator
@given(data=st.data())
@few
def test_a_view_lies_in_the_storage_of_its_operand(name: str, data: st.DataObject) -> None:
    case = data.draw(cases(name))
    operands = operands_of(case)
    places = {t.untyped_storage().data_ptr() for t in operands}
    for layer in forms(case):
        assert (layer(*operands).untyped_storage().data_ptr() in places) == case.op.view(
            *case.types
        )


@each_operator
@given(data=st.data())
@few
def test_macs_are_half_of_the_counted_flops(name: str, data: st.DataObject) -> None:
    case = data.draw(cases(name))
    for layer in forms(case):
        with FlopCounterMode(display=False) as counter:
            layer(*operands_of(case))
        assert case.op.macs(case.types, case.out) == counter.get_total_flops() / 2 / BATCH


@pytest.mark.parametrize("name", TWO_FORMS)
@given(data=st.data(), training=st.booleans())
@few_of_many
def test_module_and_function_agree_bit_for_bit(
    name: str, data: st.DataObject, training: bool
) -> None:
    case = data.draw(cases(name))
    assume(len(forms(case)) == 2)
    operands = operands_of(case)
    module, function = (form.train(training) for form in forms(case))
    assert_same(run(module, operands), run(function, operands))


@each_operator
@given(data=st.data(), training=st.booleans())
@few
def test_the_text_means_what_the_interpreter_says(
    name: str, data: st.DataObject, training: bool
) -> None:
    case = data.draw(cases(name))
    operands = operands_of(case)
    for layer in forms(case):
        randomise(layer)
        reference = copy.deepcopy(layer)
        weights = weights_of(reference)

        def interpret(*xs: Tensor, weights: dict[str, Tensor] = weights) -> Tensor:
            return Interpreter().apply(case.op, xs, weights, training, case.out.batched)

        layer.train(training)
        ours = run(layer, operands, list(layer.parameters()))
        theirs = run(interpret, operands, list(reference.parameters()))
        if name in FORMULAS:
            assert_close(ours, theirs)
            continue
        assert_same(ours, theirs)
        assert_same(list(layer.buffers()), list(reference.buffers()))


@each_operator
@given(data=st.data(), training=st.booleans())
@few
def test_at_zero_is_the_result_for_zeros(name: str, data: st.DataObject, training: bool) -> None:
    case = data.draw(cases(name))
    if case.op.at_zero is None:
        return
    for layer in forms(case):
        layer.train(training)
        randomise(layer)
        out = layer(*(torch.zeros_like(t) for t in operands_of(case)))
        assert torch.equal(out, torch.full_like(out, case.op.at_zero))


@each_operator
@given(data=st.data(), training=st.booleans())
@few
def test_at_constant_is_what_becomes_of_channels_that_are_the_same_everywhere(
    name: str, data: st.DataObject, training: bool
) -> None:
    """All positions of a channel are equal in the result where they are in all operands."""
    case = data.draw(cases(name))
    if case.op.at_constant != "constant" or case.op.channel_rule == "reshape":
        return
    for layer in forms(case):
        layer.train(training)
        randomise(layer)
        values = [torch.rand(type_.channels, dtype=torch.float64) for type_ in case.types]
        operands = [
            value.reshape(-1, *(1,) * type_.rank).expand_as(x).clone()
            for value, type_, x in zip(values, case.types, operands_of(case), strict=True)
        ]
        out = layer.double()(*operands).movedim(1 if case.out.batched else 0, 0)
        flat = out.reshape(case.out.channels, -1)
        torch.testing.assert_close(flat, flat[:, :1].expand_as(flat), rtol=1e-9, atol=1e-9)


@each_operator
@given(data=st.data())
@few
def test_zeros_beside_others_do_what_the_operator_says(name: str, data: st.DataObject) -> None:
    case = data.draw(cases(name))
    if case.op.beside_zero is None or len(case.types) < 2:
        return
    for layer in forms(case):
        first, *others = operands_of(case)
        out = layer(first, *map(torch.zeros_like, others))
        wanted = first if case.op.beside_zero == "neutral" else torch.zeros_like(out)
        assert torch.equal(out, wanted.expand_as(out))


@each_operator
@given(data=st.data())
@few
def test_channels_depend_as_the_channel_rule_says(name: str, data: st.DataObject) -> None:
    """Only the channels that the rule names change when one channel of an operand does."""
    case = data.draw(cases(name))
    for layer in (form.eval() for form in forms(case)):
        operands = [t.detach() for t in operands_of(case)]
        for i, type_ in enumerate(case.types):
            for c in range(type_.channels):
                changed = [t.clone() for t in operands]
                changed[i].select(1 if type_.batched else 0, c).add_(1.0)
                torch.manual_seed(0)
                before = layer(*operands)
                torch.manual_seed(0)
                axis = 1 if case.out.batched else 0
                differs = (layer(*changed) != before).movedim(axis, 0)
                differs = differs.reshape(case.out.channels, -1).any(1)
                assert set(differs.nonzero().flatten().tolist()) <= readers(case, i, c)


def readers(case: Case, operand: int, channel: int) -> set[int]:
    """The output channels that may depend on one channel of one operand."""
    rule, every = case.op.channel_rule, range(case.out.channels)
    type_ = case.types[operand]
    if rule in ("mix", "reshape"):
        return set(every)
    if rule == "same":
        return {channel} if type_.channels == case.out.channels else set(every)
    if rule == "concat":
        return {sum(t.channels for t in case.types[:operand]) + channel}
    if rule == "select":
        return {c for c, source in enumerate(case.op.selection(*case.types)) if source == channel}
    assert rule == "grouped"
    groups = case.op.channel_groups(*case.types)
    group = channel // (type_.channels // groups)
    width = case.out.channels // groups
    return set(every[group * width :][:width])


@each_operator
@given(data=st.data(), h=st.integers(1, 9))
@few
def test_symbolic_sizes_stand_for_every_number(name: str, data: st.DataObject, h: int) -> None:
    """With h + n for each size, the result at one h is the result for the numbers."""
    case = data.draw(cases(name))
    types = [_with_symbols(type_, h) for type_ in case.types]
    if name in ("apply_conv", "apply_conv_transpose"):
        types[1] = case.types[1]
    if name in WHOLE and any(type_.elements is None for type_ in types):
        return
    symbolic = case.op.infer(*types)
    numbers = tuple(d.at(h) if isinstance(d, Size) else d for d in symbolic.shape)
    assert numbers == case.out.shape
    if symbolic.elements is None:
        assert case.op.macs(types, symbolic) == (None if name in CONVOLUTIONS else 0)


def _with_symbols(type_: TensorType, h: int) -> TensorType:
    spatial = (Size("h") + (n - h) if isinstance(n, int) and n > 1 else n for n in type_.spatial)
    return TensorType((type_.channels, *spatial), type_.batched)


def test_a_hyperparameter_never_hides_a_method() -> None:
    methods = {name for name in vars(Op) if not name.startswith("__")}
    for cls in OPS.values():
        assert not methods & {parameter.name for parameter in parameters(cls)}

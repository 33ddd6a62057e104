"""The mend of a call of torch's: torch's module and the mended spec's net compute the same.

Where archc cannot express an argument there is no mend, and the help names the argument.
"""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from emitted import build_from
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch_rows import CHANNELS, ELSEWHERE, VALUES, Drawn, Odd

from archc.codegen.emit import Header, emit
from archc.diagnostics import ArchError, Diagnostic, edited
from archc.elaborate.files import load_program
from archc.elaborate.net import elaborate
from archc.elaborate.pytorch.signatures import FUNCTIONS, OPERANDS, REQUIRED, SIGNATURES, Signature

# ------------------------------------------------------------------ the table


@pytest.mark.parametrize("word", SIGNATURES)
def test_a_signature_is_that_of_torch(word: str) -> None:
    theirs = inspect.signature(getattr(nn, word)).parameters.values()
    expected = [
        (item.name, REQUIRED if item.default is item.empty else item.default, item.kind)
        for item in theirs
        if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)
    ]
    named = inspect.Parameter.KEYWORD_ONLY
    found = [(item.name, item.default, item.named) for item in SIGNATURES[word].parameters]
    assert found == [(name, default, kind is named) for name, default, kind in expected]


@pytest.mark.parametrize("word", FUNCTIONS)
def test_a_function_takes_what_it_takes_in_torch(word: str) -> None:
    function = getattr(functional, word, None) or getattr(torch, word)
    try:
        theirs = inspect.signature(function).parameters
    except ValueError:  # of C
        assert function.__doc__ is not None
        shown = function.__doc__.partition(")")[0]
        names = [item.name for item in FUNCTIONS[word].parameters]
        assert all(name in shown or name == "bias" for name in names), shown
        return
    if any(item.kind is item.VAR_POSITIONAL for item in theirs.values()):
        return  # a choice between two functions by `return_indices`
    for item in FUNCTIONS[word].parameters:
        default = theirs[item.name].default
        assert item.default == (REQUIRED if default is inspect.Parameter.empty else default)


# -------------------------------------------------------------- drawn calls


@st.composite
def calls(draw: Any, word: str, signature: Signature, prefix: str) -> Drawn:
    """A call with arguments by position or name, some left out."""
    vector = signature.operator == "linear"
    rank = signature.rank or (0 if vector else 2)
    values = VALUES.get(signature.operator, ELSEWHERE)
    texts: list[str] = []
    odd: list[str] = []
    by_position = True
    for theirs in signature.parameters:
        if theirs.name in OPERANDS:
            texts.append("x")
            continue
        must = theirs.default is REQUIRED or theirs.name == "dim"
        if theirs.named or not (must or draw(st.booleans())):
            by_position = False
            if not theirs.named or draw(st.booleans()):
                continue
        value = draw(st.sampled_from(list(values[theirs.name](rank))))
        by_position = by_position and draw(st.sampled_from([True, True, True, False]))
        shown = repr(value.value if isinstance(value, Odd) else value)
        texts.append(shown if by_position else f"{theirs.name}={shown}")
        odd += [texts[-1]] if isinstance(value, Odd) else []
    shape = (CHANNELS, *(12, 10, 6)[:rank]) if rank else (CHANNELS,)
    return Drawn(f"{prefix}.{word}({', '.join(texts)})", shape, tuple(odd))


def compiled(path: Path) -> nn.Module:
    """The net of a spec, from the plain text that is emitted of it."""
    elaboration = elaborate(load_program(path))
    text = emit(elaboration.graph, (), Header(path.name, "archc compile", (), "0"))
    path.with_suffix(".py").write_text(text, encoding="utf-8")
    return build_from(path.with_suffix(".py"))


def said(path: Path) -> Diagnostic:
    with pytest.raises(ArchError) as caught:
        elaborate(load_program(path))
    first, *others = caught.value.diagnostics
    assert first.code == "E0301"
    assert not others or not first.fix, "one mend is for the whole call"
    return first


def written(call: Drawn, line: str, folder: Path) -> Path:
    path = folder / "net.arch"
    shape = ", ".join(map(str, call.shape))
    path.write_text(f"net N()(x: [{shape}]) {{\n    y = {line}\n    return y\n}}\n", "utf-8")
    return path


def mended(path: Path, problem: Diagnostic) -> nn.Module:
    """The net after one mend."""
    path.write_text(edited(path.read_text("utf-8"), problem.fix), "utf-8")
    return compiled(path)


def results(module: nn.Module, net: nn.Module, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """What torch and the net compute in training, with the same draws, and in evaluation."""
    found = []
    for compute in (module, net):
        torch.manual_seed(1)
        x = torch.randn(3, *shape)
        torch.manual_seed(2)
        trained = compute(x.clone())
        compute.eval()
        found.append((trained, compute(x.clone())))
    return found[0], found[1]


def check_equal(ours: Any, theirs: Any) -> None:
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("word", SIGNATURES)
@settings(max_examples=20)
@given(data=st.data())
def test_a_module_is_mended_to_what_computes_the_same(
    word: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    call = data.draw(calls(word, SIGNATURES[word], "nn"))
    try:
        module = eval(call.text, {"nn": nn})
        module(torch.randn(3, *call.shape))
    except (RuntimeError, ValueError, TypeError, AssertionError, NotImplementedError, UserWarning):
        assume(False)
    torch.manual_seed(0)
    module = eval(call.text, {"nn": nn})
    path = written(call, f"x -> m: {call.text}", tmp_path_factory.mktemp("mend"))
    problem = said(path)
    if not problem.fix:
        assert problem.help is not None
        uneven = "same" in call.text or "UpsamplingNearest" in call.text
        assert call.odd or uneven, problem.help
        assert not call.odd or any(text in problem.help for text in call.odd), problem.help
        return
    assert not call.odd or "Pad" in word, problem.fix
    net = mended(path, problem)
    weights = {f"m.{key}": value for key, value in module.state_dict().items()}
    net.load_state_dict(weights)
    theirs, ours = results(module, net, call.shape)
    check_equal(ours, theirs)


LITERALS = [
    word
    for word, signature in FUNCTIONS.items()
    if not {"weight", "training"} & {item.name for item in signature.parameters}
]
"""Functions of one tensor and literals; the others are in test_foreign_words."""


@pytest.mark.parametrize("word", LITERALS)
@settings(max_examples=15)
@given(data=st.data())
def test_a_function_is_mended_to_what_computes_the_same(
    word: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    signature = FUNCTIONS[word]
    names = [item.name for item in signature.parameters]
    prefix = "F" if hasattr(functional, word) else "torch"
    call = data.draw(calls(word, signature, prefix))
    text = call.text.replace("(x", "([x, x]", 1) if "tensors" in names else call.text
    names_of_torch = {"F": functional, "torch": torch}
    try:
        torch.manual_seed(1)
        theirs = eval(text, {**names_of_torch, "x": torch.randn(3, *call.shape)})
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError, UserWarning):
        assume(False)
    problem = said(written(call, text, tmp_path_factory.mktemp("mend")))
    if not problem.fix:
        assert problem.help is not None
        assert "archc calls it" in problem.help
        return
    path = problem.labels[0].span.source.file
    assert path is not None
    net = mended(path, problem)
    torch.manual_seed(1)
    torch.testing.assert_close(net(torch.randn(3, *call.shape)), theirs, rtol=1e-5, atol=1e-6)

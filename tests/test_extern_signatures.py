"""Extern layers: what their signatures, constructors and paths say, and what is refused."""

from pathlib import Path

import pytest
from extern_specs import body, compiled, output

from archc.diagnostics import ArchError

# ------------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    ("signature", "shape", "result"),
    [
        ("[C, *S] -> [C, *S]", "[8]", "[8]"),
        ("[C, *S] -> [2 * C, *S]", "[8, 5, 6, 7]", "[16, 5, 6, 7]"),
        ("[C, H, W] -> [2*C, H // 2, W // 2]", "[8, 17, 16]", "[16, 8, 8]"),
        ("[C, H, W] -> [C * H * W]", "[2, 3, 4]", "[24]"),
        ("[4*C, H, W] -> [C, 2*H, 2*W]", "[8, 3, 4]", "[2, 6, 8]"),
        ("[C + 1, *S] -> [C]", "[8, 3]", "[7]"),
        ("[*S] -> [*S]", "[8, 3, 4]", "[8, 3, 4]"),
        ("[C, *S, W] -> [C, *S, W + 2]", "[8, 3, 4]", "[8, 3, 6]"),
        ("[8, H, W] -> [n, (H + W) // n]", "[8, 3, 6]", "[3, 3]"),
        ("[C, H, W] -> [C, H // 3, 2 * W - 1]", "[8, h, 2*w]", "[8, h // 3, 4*w - 1]"),
        ("[C, H, W] -> [C, H // 2]", "[8, h, 5]", "[8, h // 2]"),
    ],
)
def test_the_result_follows_from_the_input(
    tmp_path: Path, signature: str, shape: str, result: str
) -> None:
    text = body(f'A(n=3): {signature} from "a:A"', "return x -> a: A", shape)
    assert str(output(tmp_path, text)) == result


@pytest.mark.parametrize(
    ("signature", "code", "says"),
    [
        ("[C, H] -> [C]", "E0204", "`A` takes [C, H] as its input, not [8, 16, 16]"),
        ("[4, *S] -> [C, *S]", "E0224", "no input of `A` says what `C` is"),
        ("[C, *S] -> [C, *T]", "E0224", "no input of `A` says what `*T` is"),
        ("[C, *S, *S] -> [C]", "E0224", "one `*`"),
        ("[C, *C] -> [C]", "E0224", "one size here, and several"),
        ("[4, *S] -> [4, *S]", "E0204", "takes [4, *S]"),
        ("[C, H, 2*H] -> [C]", "E0204", "with C = 8, H = 16, not [8, 16, 16]"),
        ("[C, H // 2, W] -> [C]", "E0204", "`H // 2` does not decide `H`"),
        ("[C, H, W] -> [C - 8, H]", "E0204", "here [0, 16]: sizes are at least 1"),
        ("[C, H, W] -> [C // (H - 16)]", "E0204", "divides by zero"),
        ("[C, *S] -> [C, *S, *S]", "E0224", "one `*`"),
        ("[C, *S] -> [C, *S, 3, 3]", "E0204", "up to three spatial sizes"),
        ("[C, H, W] -> [C, H ** 2]", "E0224", "`+`, `-`, `*` and `//` only"),
        ("[C, H, W] -> [C, 1.5]", "E0222", "not a float"),
        ("[C, *S], [C, *S] -> [C, *S]", "E0110", "several inputs stand in parentheses"),
        ("[C, *S] -> [C, *S], [C]", "E0110", "several results stand in parentheses"),
        ("[C, *S] -> ([C, *S], [D])", "E0224", "no input of `A` says what `D` is"),
        ("[C, *S] -> ([C, *S], [C - 8])", "E0204", "here [0]: sizes are at least 1"),
        ("([C, *S], [C, *S]) -> [C, *S]", "E0201", "`A` needs 2 tensors, not 1"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, signature: str, code: str, says: str) -> None:
    with pytest.raises(ArchError) as caught:
        compiled(tmp_path, body(f'A(): {signature} from "a:A"', "return x -> a: A"))
    assert caught.value.diagnostics[0].code == code
    assert says in str(caught.value)


def test_two_inputs_must_agree(tmp_path: Path) -> None:
    text = body(
        'A(): ([C, *S], [D, *S]) -> [C + D, *S] from "a:A"',
        "return (x, x -> max_pool(2)) -> a: A",
    )
    with pytest.raises(ArchError, match=r"\[D, \*S\] as its 2nd operand, with S = \[16, 16\], not"):
        compiled(tmp_path, text)


def test_a_bound_size_is_a_check_in_whatever_order(tmp_path: Path) -> None:
    """`H // 2` does not decide H, but another input does: 33 // 2 is 16."""
    declared = 'A(): ([C, H // 2, W // 2], [C, H, W]) -> [C, H, W] from "a:A"'
    line = "return (x -> max_pool(2), x) -> a: A"
    assert str(output(tmp_path, body(declared, line, "[8, 33, 16]"))) == "[8, 33, 16]"


# -------------------------------------------------------------- constructors


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        ("", 'A(n=2, mode="x")'),
        ("()", "A()"),
        ("(C)", "A(8)"),
        ("(C, C, n=n)", "A(8, 8, n=2)"),
        ("(2 * C // n, sizes=[H, W, 1], flag=true)", "A(8, sizes=(16, 16, 1), flag=True)"),
        ('("a\\"b", [1, [2.5]])', "A('a\"b', (1, (2.5,)))"),
        ('("{mode}y")', 'A("xy")'),
    ],
)
def test_the_constructor_gets_what_the_spec_says(tmp_path: Path, arguments: str, call: str) -> None:
    declared = f'A(n=2, mode="x"): [C, H, W] -> [C, H, W] from "a:A"{arguments}'
    source = compiled(tmp_path, body(declared, "return x -> c: conv(8) -> a: A")).source()
    assert f"self.a = {call}\n" in source


@pytest.mark.parametrize(
    ("arguments", "shape", "code", "says"),
    [
        ("(D)", "[8, 4]", "E0224", "no input of `A` says what `D` is"),
        ("(relu)", "[8, 4]", "E0225", "not the operator `relu`"),
        ("(H)", "[8, h]", "E0204", "which is the symbolic size `h`"),
        ("(C, n=1, n=2)", "[8, 4]", "E0313", "gets `n` twice"),
        ("(n=1, C)", "[8, 4]", "E0147", "positional"),
        ("(class=1)", "[8, 4]", "E0124", "class"),
        ("(C ** 2)", "[8, 4]", "E0224", "only"),
        (f"({' * '.join('C' * 30)})", "[8, 4]", "E0204", "too large"),
    ],
)
def test_a_constructor_cannot_be_given_anything(
    tmp_path: Path, arguments: str, shape: str, code: str, says: str
) -> None:
    declared = f'A(): [C, H] -> [C, H] from "a:A"{arguments}'
    with pytest.raises(ArchError) as caught:
        compiled(tmp_path, body(declared, "return x -> a: A", shape))
    assert caught.value.diagnostics[0].code == code
    assert says in str(caught.value)


def test_a_shared_layer_needs_one_constructor_call(tmp_path: Path) -> None:
    declared = 'A(): [C, *S] -> [C, *S] from "a:A"'
    line = "a = A()\nreturn concat(x -> a, x -> take(4) -> a)"
    compiled(tmp_path, body(declared, line))
    with pytest.raises(ArchError, match="tensors that need different weights"):
        compiled(tmp_path, body(f"{declared}(C)", line))


# ------------------------------------------------------------------ the path


@pytest.mark.parametrize(
    ("target", "code", "help"),
    [
        ("os;import x:Y", "E0170", "package.module:Class"),
        ("pkg.mod.CBAM", "E0170", "pkg.mod:CBAM"),
        ("./pkg/mod.py:CBAM", "E0170", "pkg.mod:CBAM"),
        ("pkg:", "E0170", "package.module:Class"),
        ("", "E0170", "package.module:Class"),
        ("pkg:A.B", "E0170", "package.module:Class"),
        (".pkg:A", "E0170", "package.module:Class"),
        ("pkg :A", "E0170", "package.module:Class"),
        ("pkg\\n:A", "E0170", "package.module:Class"),
        ("pkg:A\\nimport os", "E0170", "package.module:Class"),
        ('pkg:A\\"', "E0170", "package.module:Class"),
        ("pkg:A'", "E0170", "package.module:Class"),
        ("pkg:A)#", "E0170", "package.module:Class"),
        ("p\u00e4kg:A", "E0170", "package.module:Class"),
        (f"{'a' * 200}:A", "E0170", "package.module:Class"),
        ("pkg.class:A", "E0170", None),
        ("pkg:lambda", "E0170", None),
        ("os:system", "E0171", None),
        ("builtins:eval", "E0171", None),
        ("subprocess.x:A", "E0171", None),
        ("pkg:{x}", "E0164", None),
    ],
)
def test_a_path_that_names_no_class_is_refused_even_unused(
    tmp_path: Path, target: str, code: str, help: str | None
) -> None:
    text = body(f'A(): [C, *S] -> [C, *S] from "{target}"', "return x -> relu")
    with pytest.raises(ArchError) as caught:
        compiled(tmp_path, text)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    if help is not None:
        assert diagnostic.help == f'write `"{help}"`'
        mended = text.replace(f'"{target}"', f'"{help}"')
        compiled(tmp_path, mended)


@pytest.mark.parametrize("name", ["torch", "nn", "Tensor", "range", "N", "Block", "super", "__x"])
def test_a_class_may_be_called_like_anything(tmp_path: Path, name: str) -> None:
    text = (
        f'extern layer Mine(): [C, *S] -> [C, *S] from "pkg:{name}"\n'
        'extern layer Second(): [C, *S] -> [C, *S] from "pkg2:Mine"\n'
        "block Block(n)(x) { return x -> c: conv(n, 3) -> mine: Mine -> second: Second }\n"
        "net N()(x: [3, 8, 8]) { return x -> block: Block(4) }\n"
    )
    source = compiled(tmp_path, text).source()
    assert f"from pkg import {name} as Mine\n" in source
    assert "from pkg2 import Mine as Second\n" in source
    assert "self.mine = Mine()\n" in source

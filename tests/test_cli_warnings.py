"""`--deny` and `--allow`, and what is not said of what is meant."""

from pathlib import Path

import pytest
from command_line import run

import archc
from archc.analysis.summary import summarize
from archc.checking import check_spec
from archc.compiler import Request, compile_spec
from archc.elaborate.limits import Limits
from archc.resources import library_root

SPEC = """\
const UNUSED = 1

net Careless(classes=10)(image: [3, 8, 8]) {
    x = image -> conv(8, 3) -> relu
    return x -> global_avg_pool -> fc: linear(classes)
}
"""


@pytest.fixture
def careless(tmp_path: Path) -> str:
    path = tmp_path / "careless.arch"
    path.write_text(SPEC)
    return str(path)


@pytest.mark.parametrize(
    ("options", "errors", "warnings"),
    [
        ([], [], ["W0005", "W0004"]),
        (["--deny", "warnings"], ["W0005", "W0004"], []),
        (["--deny", "W0004"], ["W0004"], ["W0005"]),
        (["--deny", "W0004", "--deny", "W0005"], ["W0004", "W0005"], []),
        (["--allow", "W0004"], [], ["W0005"]),
        (["--deny", "warnings", "--allow", "W0005"], ["W0004"], []),
        (["--allow", "W0005", "--allow", "W0004", "--deny", "warnings"], [], []),
        (["--deny", "W0001"], [], ["W0005", "W0004"]),
    ],
)
@pytest.mark.parametrize("command", ["check", "compile"])
def test_warnings_are_denied_and_allowed(
    careless: str, command: str, options: list[str], errors: list[str], warnings: list[str]
) -> None:
    result = run(command, careless, *options)
    assert result.exit_code == (1 if errors else 0)
    for code in ("W0004", "W0005"):
        assert (f"error[{code}]" in result.stderr) == (code in errors)
        assert (f"warning[{code}]" in result.stderr) == (code in warnings)


def test_what_is_denied_is_not_written(careless: str, tmp_path: Path) -> None:
    model = tmp_path / "model.py"
    assert run("compile", careless, "-o", str(model), "--deny", "W0004").exit_code == 1
    assert not model.exists()
    assert run("compile", careless, "-o", str(model), "--allow", "W0004").exit_code == 0
    assert model.exists()


@pytest.mark.parametrize("option", ["--deny", "--allow"])
@pytest.mark.parametrize("what", ["W0999", "E0204", "everything"])
def test_only_warnings_are_denied_and_allowed(careless: str, option: str, what: str) -> None:
    result = run("check", careless, option, what)
    assert result.exit_code == 2
    assert "there is no warning" in result.stderr


def test_shipped_blocks_leave_nothing_unused() -> None:
    assert run("check", str(library_root() / "blocks"), "--deny", "warnings").exit_code == 0


def said(folder: Path, text: str) -> list[str]:
    path = folder / "spec.arch"
    path.write_text(text)
    return [f"{each.code} {each.labels[0].span.text}" for each in check_spec(path, Limits())]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("y = x -> relu\nreturn x", ["W0007 y"]),
        ("_y = x -> relu\nreturn x", []),
        ("y = x -> relu\ny = y -> tanh\nreturn y", []),
        ("y = x -> relu\ny = x -> tanh\nreturn y", ["W0007 y"]),
        ("y = x\nfor i in range(2) { y = y -> relu }\nreturn y", []),
        ("y = x\nif n > 2 { y = x -> relu }\nreturn y", []),
        ("y = x\nif n > 2 { y = x -> relu } else { y = x -> tanh }\nreturn y", []),
        ("n2 = 2 * n\nfor i in range(3) { n2 = n2 + i\nx = x -> take(3) }\nreturn x", []),
        ("xs = [x]\nxs += [x -> relu]\nreturn concat(xs)", []),
        ("xs = [x]\nxs[0] = x -> relu\nreturn concat(xs)", []),
        ("xs = [x]\nxs += [x -> relu]\nreturn x", ["W0007 xs"]),
        ('y = 2\nassert n > 0, "n is {y}"\nreturn x', []),
        ('c = 3\nreturn x -> "conv{c}": conv(8, 3)', []),
        ("a, b = (x -> relu), (x -> tanh)\nreturn a", ["W0007 b"]),
        ("y = [i for i in range(3)]\nreturn x -> take(len(y))", []),
        ("head = conv(8)\nreturn x", ["W0001 conv(8)"]),
        ("y = x -> head: conv(8)\nreturn x", ["W0003 head: conv(8)"]),
        ("scope s { y = x -> relu }\nreturn y", []),
    ],
)
def test_a_value_is_used_or_named_as_unused(tmp_path: Path, body: str, expected: list[str]) -> None:
    lines = body.replace("\n", "\n    ")
    assert (
        said(
            tmp_path,
            f"net N(n=4)(x: [3, 8, 8]) {{\n    {lines}\n}}\n".replace("(n=4)", _head(body)),
        )
        == expected
    )


def _head(body: str) -> str:
    return "(n=4)" if "n > " in body or "* n" in body else "()"


def test_a_file_of_blocks_declares_for_others(tmp_path: Path) -> None:
    text = "const A = 1\nblock B(k, unread)(x) { return x -> c: conv(k, 3) }\n"
    assert said(tmp_path, text) == ["W0006 unread"]


def test_what_a_block_uses_of_an_import_is_used(tmp_path: Path) -> None:
    (tmp_path / "lib.arch").write_text("const K = 3\nblock B()(x) { return x -> relu }\n")
    used = 'import "lib"\nnet N()(x: [3, 8, 8]) { return x -> c: conv(K, 3) }\n'
    assert said(tmp_path, used) == []
    assert said(tmp_path, used.replace("K,", "3,")) == ['W0005 import "lib"']


def test_a_long_body_is_read_in_linear_time(tmp_path: Path) -> None:
    lines = "".join(f"    v{i} = {i}\n" for i in range(6000))
    text = f"net N()(x: [3]) {{\n{lines}    return x\n}}\n"
    assert len(said(tmp_path, text)) == 6000


# ------------------------------------------------------------------------ @init


def reach(folder: Path, head: str, body: str) -> tuple[dict[str, int], dict[str, int]]:
    path = folder / "spec.arch"
    path.write_text(f"{head}\nnet N()(x: [3, 8, 8]) {{ {body} }}\n")
    found = summarize(compile_spec(Request(str(path))).graph).init
    assert found is not None
    return dict(found.reached), dict(found.default)


NET = "return x -> a: conv(8, 3, bias=true) -> b: bn -> global_avg_pool -> c: linear(4)"


@pytest.mark.parametrize(
    ("head", "reached", "default"),
    [
        ("@init", {"conv": 1}, {"bn": 1, "linear": 1}),
        ('@init("torch")', {}, {"conv": 1, "bn": 1, "linear": 1}),
        ('@init("torch", conv_bias="zero")', {"conv": 1}, {"bn": 1, "linear": 1}),
        ('@init(linear_bias="zero", bn_weight=0.5)', {"conv": 1, "bn": 1, "linear": 1}, {}),
        ("@init(linear_std=0.01)", {"conv": 1, "linear": 1}, {"bn": 1}),
    ],
)
def test_summary_says_what_an_init_reaches(
    tmp_path: Path, head: str, reached: dict[str, int], default: dict[str, int]
) -> None:
    assert reach(tmp_path, head, NET) == (reached, default)


def test_what_is_reached_is_what_the_emitted_constructor_sets(tmp_path: Path) -> None:
    path = tmp_path / "spec.arch"
    head = '@init("he_normal", linear_bias="zero", bn_weight=0.5)\nnet N()(x: [3, 8, 8])'
    path.write_text(f"{head} {{ {NET.replace('-> c', '-> d: layer_norm -> c')} }}\n")
    model = archc.load(path)
    constructor = model.source.split("def forward")[0]
    loop = constructor.partition("for module in self.modules():")[2]
    named = {word for word in ("Conv2d", "BatchNorm2d", "Linear", "LayerNorm") if word in loop}
    assert named == {"Conv2d", "BatchNorm2d", "Linear"}
    init = model.summary().init
    assert init is not None
    assert dict(init.reached) == {"conv": 1, "bn": 1, "linear": 1}
    assert dict(init.default) == {"layer_norm": 1}

"""The emitted file as a reader meets it: its length, its style, what importing it does."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import emitted
import pytest
import torch
from emitted import Emitted
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import archc
from archc.passes.pipeline import DEFAULT
from archc.program.printing import constant

COLUMNS = 100
NETS = [
    (spec, net, net in emitted.ALIKE.get(spec, ()))
    for spec, nets in emitted.SHIPPED.items()
    for net in nets
]
"""The shipped nets; whether they are like another, and left to long runs."""

ODD: list[tuple[str, str, dict[str, Any]]] = [
    ("densenet", "DenseNet121", {"blocks": [1, 1]}),
    ("densenet", "DenseNet121", {"blocks": [6, 1, 24, 16], "dropout_rate": 0.2}),
    ("densenet_cifar", "DenseNetBC", {"depth": 10, "growth": 1, "compression": 0.7, "size": 9}),
    ("densenet_cifar", "DenseNet", {"depth": 40, "stem": 16, "size": 8}),
    ("resnet", "ResNet34", {"blocks": [1, 2, 1]}),
    ("resnet_cifar", "ResNet", {"depth": 8, "widen": 2, "projection": True}),
]
"""Settings that change the shape of the file, not only its numbers."""

LINT = {
    "A001": "`exit` is checked",
    "A002": "`forward(x, exit=k)` is said so",
    "COM812": "the formatter decides about commas",
    "CPY001": "the file belongs to whoever compiles it",
    "D102": "`forward` and timm's methods are known by their names",
    "D107": "a class's docstring says what it is made from",
    "D401": "a function's docstring may say what it gives",
    "EM102": "a wrong size is refused in one line",
    "FBT001": "`pre_logits` is a flag in timm's interface",
    "FBT002": "the same",
    "INP001": "where the file lies is the user's",
    "N812": "`functional as F`, as everybody writes it",
    "PLR0913": "a class has as many parameters as its instances differ in",
    "PLR0917": "the same",
    "TRY003": "a wrong size is refused in one line",
    "D203": "the other style of D211",
    "D213": "the other style of D212",
}
"""Every other rule of ruff holds."""


@pytest.fixture(scope="module")
def bodies(pytestconfig: pytest.Config) -> dict[str, Emitted]:
    """Shipped nets as they come, those `ALIKE` others in long runs only; and some with other
    settings, at -O0 too."""
    every = pytestconfig.getoption("--full")
    found = {
        f"{spec}_{net}": emitted.emit(spec, net) for spec, net, alike in NETS if every or not alike
    }
    for number, (spec, net, settings) in enumerate(emitted.SMALL + ODD):
        found[f"{net}_{number}"] = emitted.emit(spec, net, **settings)
        found[f"{net}_{number}_O0"] = emitted.emit(spec, net, emitted.O0, **settings)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, bodies: dict[str, Emitted]) -> Path:
    folder = tmp_path_factory.mktemp("emitted")
    for name, net in bodies.items():
        (folder / f"{name.lower()}.py").write_text(net.source, encoding="utf-8")
    return folder


@pytest.mark.full
def test_alike_nets_differ_in_names_and_numbers_only() -> None:
    for spec, nets in emitted.ALIKE.items():
        first = {_without_numbers(spec, net) for net in emitted.SHIPPED[spec] if net not in nets}
        assert {_without_numbers(spec, net) for net in nets} <= first, spec


def _without_numbers(spec: str, net: str) -> str:
    """The text of a model, each list of numbers in it one number, and its docstrings left out."""
    text = "\n".join(emitted.emit(spec, net).model_lines).replace(net, "Net")
    text = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)
    text = re.sub(r"0(?:,\s*0)+", "0", re.sub(r"[\d.]+", "0", text))
    return " ".join(text.split())


def _run(*command: str | Path) -> str:
    """A Python tool's complaints."""
    words = [sys.executable, "-m", *map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


# ------------------------------------------------------------------------------ length


@pytest.mark.parametrize(
    ("spec", "net", "plain", "shared"),
    [("densenet_cifar", "DenseNetBC", 106, 118), ("densenet", "DenseNet121", 108, 127)],
)
def test_a_dense_net_stays_within_its_lines(spec: str, net: str, plain: int, shared: int) -> None:
    """Sharing memory adds some lines to the blocks and the net, and none for its imports."""
    assert len(emitted.emit(spec, net, emitted.O0).model_lines) <= plain
    assert len(emitted.emit(spec, net, DEFAULT).model_lines) <= shared


def test_what_only_the_runtime_imports_stands_with_it(bodies: dict[str, Emitted]) -> None:
    for name, net in bodies.items():
        model = ast.parse("\n".join(net.model_lines))
        heads = [node for node in model.body if isinstance(node, ast.Import | ast.ImportFrom)]
        imported = {alias.asname or alias.name for node in heads for alias in node.names}
        used = {node.id for node in ast.walk(model) if isinstance(node, ast.Name)}
        assert imported <= used, name


def test_blocks_that_differ_by_a_child_or_an_activation_are_one_class() -> None:
    """As torchvision has one `Bottleneck`, and timm one `GhostBottleneck`."""
    for spec, net, block in (
        ("resnet", "ResNet50", "Bottleneck"),
        ("resnet", "ResNet18", "BasicBlock"),
        ("ghostnet", "GhostNet", "GhostBottleneck"),
        ("preact_resnet", "PreActResNet200", "PreActBottleneck"),
    ):
        text = "\n".join(emitted.emit(spec, net).model_lines)
        assert re.findall(rf"class ({block}\w*)\(", text) == [block], net


def test_every_class_says_what_it_is(bodies: dict[str, Emitted]) -> None:
    for name, net in bodies.items():
        classes = ast.parse("\n".join(net.model_lines)).body
        for each in classes:
            assert not isinstance(each, ast.ClassDef) or ast.get_docstring(each), (name, each.name)


@pytest.mark.parametrize("passes", [emitted.O0, DEFAULT], ids=["O0", "default"])
def test_depth_does_not_lengthen_the_file(passes: tuple[Any, ...]) -> None:
    deep = emitted.emit("resnet_cifar", "ResNet", passes, depth=326)
    shallow = emitted.emit("resnet_cifar", "ResNet", passes, depth=110)
    assert len(deep.model_lines) <= len(shallow.model_lines) + 2


# ------------------------------------------------------------------------------- style


def test_no_line_is_longer_than_100_columns(bodies: dict[str, Emitted]) -> None:
    long = [
        (name, number, len(line))
        for name, net in bodies.items()
        for number, line in enumerate(net.source.split("\n"), start=1)
        if len(line) > COLUMNS
    ]
    assert not long


def test_the_files_are_formatted(folder: Path) -> None:
    options = ("--isolated", "--line-length", str(COLUMNS))
    assert not _run("ruff", "format", "--check", "--diff", "--no-cache", *options, folder)


def test_the_files_are_free_of_lint(folder: Path) -> None:
    """The model by all rules; the runtime, which is checked where it stands, by ruff's own."""
    options = ("--isolated", "--line-length", str(COLUMNS), "--target-version", "py311")
    assert not _run("ruff", "check", "--no-cache", "--quiet", *options, folder)
    rules = ("--select", "ALL", "--ignore", ",".join(LINT), "--output-format", "json")
    found = json.loads(_run("ruff", "check", "--no-cache", *options, *rules, folder) or "[]")
    heading = {path: _model_length(path) for path in folder.glob("*.py")}
    assert not [
        (each["filename"], each["location"], each["code"], each["message"])
        for each in found
        if each["location"]["row"] <= heading[Path(each["filename"])]
    ]


def _model_length(path: Path) -> int:
    """The lines above the runtime."""
    return path.read_text("utf-8").split(emitted.RUNTIME_HEADING)[0].count("\n")


def test_mypy_has_nothing_to_say(folder: Path, type_cache: Path) -> None:
    assert not _run("mypy", "--strict", "--config-file=", "--cache-dir", type_cache, folder)


def test_there_is_one_suppression_and_no_other(bodies: dict[str, Emitted]) -> None:
    for name, net in bodies.items():
        first, *rest = net.source.split("\n")
        assert first == "# mypy: disable-error-code=no-any-return", name
        assert not any(word in line for line in rest for word in ("type: ignore", "noqa", "# mypy"))


@given(st.text() | st.sampled_from(['"', "'", "\\", "'\"", '\\"', "a\nb", "{x}"]))
def test_texts_are_written_as_literals(text: str) -> None:
    assert ast.literal_eval(constant(text)) == text


def test_names_are_words(bodies: dict[str, Emitted]) -> None:
    """No numbered temporaries, nothing private, no name that the spec or torch did not give.

    The elements of a spec's lists `xs` and `ys` are `x0`, `x1`, ... and `y0`, ...; a temporary
    would begin with `x2`, or be a second `x0_2`.
    """
    for name, net in bodies.items():
        model = ast.parse("\n".join(net.model_lines))
        names = {n.id for n in ast.walk(model) if isinstance(n, ast.Name)}
        assert not [n for n in names if n.startswith("_") and n not in ("_", "__all__")], name
        assert not [n for n in names if re.search(r"\d_\d+$", n)], name
        numbered = {n for n in names if re.fullmatch(r"(x|y|t|v|tmp)\d+", n)}
        lists = [[n for n in numbered if n[0] == word] for word in "xy" if f"{word}0" in numbered]
        assert numbered == {f"{found[0][0]}{i}" for found in lists for i in range(len(found))}, name


def test_what_finds_its_variable_taken_is_called_after_the_block_that_gives_it(
    tmp_path: Path,
) -> None:
    """`third` would be x0, the first element of the list, which `fourth` still reads."""
    spec = tmp_path / "taken.arch"
    spec.write_text(
        """block Scale()(x) { return x -> conv: conv(4, 3) -> relu }

net Taken()(image: [4, 8, 8]) {
    stem = image -> stem: Scale
    xs = [stem -> first: Scale, stem -> second: Scale]
    xs = [xs[0] -> third: Scale, concat(xs) -> fourth: Scale]
    return concat(xs)
}
"""
    )
    net = emitted.emit(spec, passes=emitted.O0).source.partition("class Taken(")[2]
    assert net.partition("def forward(")[2].split("\n")[1:6] == [
        "        stem = self.stem(image)",
        "        x0 = self.first(stem)",
        "        x1 = self.second(stem)",
        "        third = self.third(x0)",
        "        return torch.cat([third, self.fourth(torch.cat([x0, x1], 1))], 1)",
    ]


@pytest.mark.parametrize(
    ("head", "needed"),
    [
        ("x -> global_avg_pool -> fc: linear(5)", False),
        ("x -> global_max_pool -> fc: linear(5)", True),
        ("concat(x -> flatten, x -> global_avg_pool) -> fc: linear(5)", True),
    ],
)
def test_the_head_rebuilds_only_what_it_keeps(tmp_path: Path, head: str, needed: bool) -> None:
    """The features are rebuilt by their own method."""
    spec = tmp_path / "head.arch"
    spec.write_text(
        "net Head()(image: [3, 32, 32]) {\n"
        "    x = image\n"
        "    for i in range(4) {\n"
        '        x = concat(x, x -> "conv{i}": conv(8, 3) -> "bn{i}": bn -> relu)\n'
        "    }\n"
        f"    return {head}\n"
        "}\n"
    )
    methods = archc.load(spec).source.split("    def ")
    found = {each.partition("(")[0]: "with Rebuilding(self)" in each for each in methods}
    assert found["forward_features"]
    assert found["forward"] is needed


# ------------------------------------------------------------- what importing it does


def test_only_torch_and_the_standard_library_are_imported(bodies: dict[str, Emitted]) -> None:
    for name, net in bodies.items():
        roots = set()
        for node in ast.walk(ast.parse(net.source)):
            if isinstance(node, ast.Import):
                roots |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, name
                roots.add((node.module or "").split(".")[0])
        assert roots <= {"torch", *sys.stdlib_module_names}, name


def test_a_file_only_defines(folder: Path) -> None:
    """Imports, `__all__`, classes and functions: nothing runs when it is imported."""
    kinds = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef)
    for path in sorted(folder.glob("*.py")):
        model = path.read_text("utf-8").split(emitted.RUNTIME_HEADING)[0]
        docstring, *body = ast.parse(model).body
        assert isinstance(docstring, ast.Expr)
        assigned = [node for node in body if not isinstance(node, kinds)]
        assert [ast.unparse(node).split(" = ")[0] for node in assigned] == ["__all__"]


IMPORT = """
import json, random, sys
import torch
sys.path.insert(0, {folder!r})
before = set(sys.modules), torch.get_rng_state(), random.getstate(), torch.get_default_dtype()
threads, grad = torch.get_num_threads(), torch.is_grad_enabled()
for name in {names!r}:
    __import__(name)
assert torch.equal(before[1], torch.get_rng_state())
assert before[2:] == (random.getstate(), torch.get_default_dtype())
assert (threads, grad) == (torch.get_num_threads(), torch.is_grad_enabled())
print(json.dumps(sorted(set(sys.modules) - before[0])))
"""


def test_importing_has_no_effect(folder: Path) -> None:
    names = sorted(path.stem for path in folder.glob("*.py"))
    code = IMPORT.format(folder=str(folder), names=names)
    words = [sys.executable, "-I", "-B", "-W", "error", "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert json.loads(done.stdout) == names


@pytest.mark.parametrize(
    ("spec", "net"),
    [
        pytest.param(spec, net, id=f"{spec}-{net}", marks=pytest.mark.full if alike else ())
        for spec, net, alike in NETS
    ],
)
def test_the_class_is_the_first_public_name(spec: str, net: str) -> None:
    module = emitted.emit(spec, net).module
    assert module.__all__[0] == net
    assert issubclass(getattr(module, net), nn.Module)
    assert module.__doc__ is not None
    assert module.__doc__.startswith(f"{net}, compiled by archc")


def test_what_is_called_as_the_net_is_a_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "tree.arch"
    path.write_text(
        "net Tree(depth=2)(image: [3, H, W]) {\n"
        "    if depth == 0 { return image -> conv: conv(3, 3) }\n"
        "    return image -> inner: Tree(depth - 1)\n"
        "}\n"
    )
    source = archc.load(path).source
    classes = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    assert classes == ["TreePart", "TreePartInner", "Tree"]


def test_what_a_net_with_exits_returns_is_all_there_and_in_order(tmp_path: Path) -> None:
    """More results than one line holds, some of which have names long before their turn."""
    spec = tmp_path / "many.arch"
    spec.write_text(
        """block Stage()(x) {
    exit x -> global_avg_pool -> head: linear(5)
    return x -> conv: conv(8, 3)
}

net Many()(image: [8, 12, 12], mask: [1, 12, 12]) {
    x = image
    early = image -> early: conv(4, 3)
    for i in range(12) { x = x -> "stage{i}": Stage }
    exit x -> last: conv(2, 3)
    return mask, early, x
}
"""
    )
    found = emitted.emit(spec)
    assert "staying = yield mask\n" in found.source
    mask = torch.randn(2, 1, 12, 12)
    outputs = found.build()(torch.randn(2, 8, 12, 12), mask)
    shapes = [list(found.graph.node(output.node).type.shape) for output in found.graph.outputs]
    assert [list(output.shape[1:]) for output in outputs] == shapes
    assert len(outputs) == 16
    assert torch.equal(outputs[13], mask)

"""The layers of the compiler: who may import whom; and no compile brings torch along."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import archc

ROOT = Path(archc.__file__).parent

FOUNDATION = {"diagnostics", "resources"}
GRAPH = {"diagnostics", "ops", "ir"}
FRONT = {"syntax", "elaborate"}
COMPILER = FOUNDATION | FRONT | GRAPH | {"passes", "codegen", "plugins", "timing"}
PUBLIC = {"", "api", "compiler", "diagnostics"}

# DESIGN.md, section 4: for each package or module, what it may import of archc, and from outside
# of the standard library. `""` is archc/__init__.py.
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "": ({"api", "diagnostics", "notebook"}, set()),
    "__main__": ({"cli"}, set()),
    "diagnostics": (set(), set()),
    "resources": (set(), set()),
    "timing": (set(), set()),
    "explanations": ({"resources"}, set()),
    "files": ({"diagnostics"}, set()),
    "syntax": (FOUNDATION, {"lark"}),
    "plugins": ({"diagnostics"}, set()),
    "ops": ({"diagnostics", "plugins"}, set()),
    "ir": ({"diagnostics", "ops"}, {"networkx"}),
    "elaborate": (FOUNDATION | {"syntax", "ops", "ir", "plugins"}, set()),
    "passes": (GRAPH | {"plugins", "timing"}, set()),
    "codegen": (GRAPH, {"jinja2"}),
    "analysis": (GRAPH, set()),
    "viz": (GRAPH | {"analysis", "files"}, {"graphviz", "graphviz_pure"}),
    "runtime": (set(), {"torch", "triton"}),
    "compiler": (COMPILER | {""}, set()),
    "checking": (COMPILER, set()),
    "cache": ({"files"}, set()),
    "api": (COMPILER | {"compiler", "cache", "analysis", "viz"}, {"torch"}),
    "notebook": ({"api", "compiler", "diagnostics", "passes"}, set()),
    "train": (PUBLIC | {"files", "ir"}, {"torch", "numpy", "sklearn", "rich"}),
    "testing": (COMPILER | {"compiler"}, {"hypothesis", "torch"}),
    "cli": (
        COMPILER
        | {"", "analysis", "api", "checking", "compiler", "explanations", "files", "train", "viz"},
        {"typer", "rich"},
    ),
}


def _layer(module: str) -> str:
    """`ir` for `archc.ir.graph`, and `""` for `archc`."""
    return module.split(".")[1] if "." in module else ""


def _imports(path: Path) -> Iterator[str]:
    """The modules that a file imports anywhere; `from archc import ir` counts as `archc.ir`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            assert node.module is not None
            if node.module == "archc":
                yield from (_submodule(alias.name) for alias in node.names)
            else:
                yield node.module


def _submodule(name: str) -> str:
    exists = (ROOT / name).is_dir() or (ROOT / f"{name}.py").is_file()
    return f"archc.{name}" if exists else "archc"


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_imports_only_what_its_layer_may(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    layer = "" if parts == ("__init__",) else parts[0]
    of_archc, from_outside = ALLOWED[layer]
    for module in _imports(path):
        top = module.partition(".")[0]
        if top == "archc":
            assert _layer(module) in of_archc | {layer}, f"{layer} imports {module}"
        elif top not in sys.stdlib_module_names:
            assert top in from_outside, f"{layer} imports {module}"


def test_what_is_private_in_torch_is_asked_for_in_one_place() -> None:
    """What emitted code asks of torch beyond its public interface, for which that has no answer."""
    mentioned = {
        (path.stem, ast.unparse(node))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and re.match("_[a-z]", node.attr)
    }
    ours = {each for each in mentioned if re.match(r"(torch|F|nn|forward_ad)\b", each[1])}
    assert ours - {("untouched", "nn.Module._call_impl")} == {
        ("surroundings", "torch._C._are_functorch_transforms_active"),
        ("surroundings", "torch._C._autograd"),
        ("surroundings", "torch._C._autograd._top_saved_tensors_default_hooks"),
        ("surroundings", "nn.modules.module._has_any_global_hook"),
        ("surroundings", "forward_ad._current_level"),
        ("surroundings", "torch._lazy_clone"),
    }


def test_the_table_names_every_layer() -> None:
    layers = {path.stem if path.is_file() else path.name for path in ROOT.iterdir()}
    code = layers - {"__init__", "__pycache__", "py", "grammar", "specs"}
    assert code == ALLOWED.keys() - {""}


def _modules_after(code: str) -> set[str]:
    """The names in `sys.modules` after a fresh Python ran the code."""
    program = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def test_importing_archc_imports_no_library() -> None:
    modules = _modules_after("import archc")
    assert not modules & {"torch", "networkx", "lark", "jinja2", "typer", "rich"}


def test_help_needs_no_compiler() -> None:
    modules = _modules_after(
        "from typer.testing import CliRunner\n"
        "from archc.cli.main import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0"
    )
    assert not modules & {"torch", "networkx", "lark", "jinja2", "archc.compiler"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["compile", "densenet_cifar"],
        ["check", "resnet_cifar"],
        ["summary", "resnet_cifar"],
        ["expand", "resnet_cifar", "--depth", "1"],
        ["plan", "densenet_cifar", "--batch", "2"],
        ["diff", "resnet_cifar", "densenet_cifar"],
        ["list"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_command_but_train_imports_torch(arguments: list[str]) -> None:
    modules = _modules_after(
        "from typer.testing import CliRunner\n"
        "from archc.cli.main import app\n"
        f"result = CliRunner().invoke(app, {arguments})\n"
        "assert result.exit_code == 0, result.output"
    )
    assert "archc.ir.graph" in modules or arguments == ["list"]
    assert "torch" not in modules

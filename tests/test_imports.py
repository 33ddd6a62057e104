"""The layers of the compiler: who may import whom; and no compile brings torch along."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

import archc

ROOT = Path(archc.__file__).parent

FOUNDATION = {"diagnostics", "resources"}
GRAPH = {"diagnostics", "ops", "ir"}
FRONT = {"syntax", "elaborate"}
COMPILER = (
    FOUNDATION
    | FRONT
    | GRAPH
    | {"lint", "passes", "lowering", "codegen", "plugins", "timing", "version"}
)
PUBLIC = {"", "api", "compiler", "diagnostics"}

# DESIGN.md, section 4: for each package or module, what it may import of archc, and from outside
# of the standard library. Each stands below all that it may import. `""` is archc/__init__.py.
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "version": (set(), set()),
    "diagnostics": (set(), set()),
    "resources": (set(), set()),
    "timing": (set(), set()),
    "runtime": (set(), {"torch", "triton"}),
    "explanations": ({"resources"}, set()),
    "writing": ({"diagnostics"}, set()),
    "cache": ({"writing"}, set()),
    "built": ({"cache"}, set()),
    "layout": (set(), set()),
    "program": ({"layout"}, set()),
    "syntax": (FOUNDATION | {"layout"}, {"lark"}),
    "plugins": ({"diagnostics"}, set()),
    "ops": ({"diagnostics", "plugins", "program"}, set()),
    "ir": ({"diagnostics", "ops"}, {"networkx"}),
    "elaborate": (FOUNDATION | {"syntax", "ops", "ir", "plugins"}, set()),
    "lint": ({"diagnostics", "syntax", "elaborate", "ir"}, set()),
    "channels": (GRAPH, {"yaml"}),
    "passes": (GRAPH | {"channels", "plugins", "syntax", "timing"}, {"lark"}),
    "lowering": (GRAPH | {"program", "layout"}, set()),
    "codegen": (GRAPH | {"program", "layout", "lowering"}, {"jinja2"}),
    "analysis": (GRAPH, set()),
    "viz": (GRAPH | {"analysis", "writing"}, {"graphviz", "graphviz_pure"}),
    "compiler": (COMPILER, set()),
    "checking": (COMPILER, set()),
    "watch": (GRAPH | {"analysis", "cache", "compiler"}, {"torch"}),
    "testing": (COMPILER | {"compiler"}, {"hypothesis", "torch"}),
    "api": (COMPILER | {"compiler", "cache", "analysis", "viz"}, {"torch"}),
    "notebook": ({"api", "compiler", "diagnostics", "passes"}, set()),
    "": ({"api", "diagnostics", "notebook", "version"}, set()),
    "train": (
        PUBLIC | {"cache", "ir", "version", "writing"},
        {
            "torch",
            "numpy",
            "sklearn",
            "rich",
            "msgspec",
            "safetensors",
            "PIL",
            "datasets",
            "lightning_fabric",
            "yaml",
            "torchvision",
        },
    ),
    "weights": (
        {"api", "compiler", "diagnostics", "ir", "ops", "passes", "train"},
        {"torch", "safetensors"},
    ),
    "slim": (
        COMPILER | {"analysis", "api", "channels", "compiler", "train", "weights"},
        {"torch", "safetensors", "msgspec"},
    ),
    "anytime": ({"diagnostics", "runtime", "train", "writing"}, {"torch", "msgspec", "PIL"}),
    "export": (
        {"analysis", "anytime", "api", "compiler", "diagnostics", "ops", "train"},
        {"torch"},
    ),
    "cli": (
        COMPILER
        | {"analysis", "api", "checking", "compiler", "explanations", "train", "viz"}
        | {"anytime", "channels", "export", "slim", "watch", "weights", "writing"},
        {"typer", "rich"},
    ),
    "__main__": ({"cli"}, set()),
}


def _layer(module: str) -> str:
    """`ir` for `archc.ir.graph`, and `""` for `archc`."""
    return module.split(".")[1] if "." in module else ""


def _name(path: Path) -> str:
    """`archc.ir.graph` for its file."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def _imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, inside of functions and for types alone, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            assert node.module is not None
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in FILES else node.module for name in names)


@pytest.mark.parametrize("name", FILES)
def test_a_file_imports_only_what_its_layer_may(name: str) -> None:
    layer = _layer(name)
    of_archc, from_outside = ALLOWED[layer]
    for module in _imports(FILES[name]):
        top = module.partition(".")[0]
        if top == "archc":
            assert _layer(module) in of_archc | {layer}, f"{layer} imports {module}"
        elif top not in sys.stdlib_module_names:
            assert top in from_outside, f"{layer} imports {module}"


def test_a_layer_may_import_only_what_stands_above_it_in_the_table() -> None:
    above: set[str] = set()
    for layer, (of_archc, _) in ALLOWED.items():
        assert of_archc <= above, f"{layer} may import {of_archc - above}"
        above.add(layer)


def test_no_modules_import_one_another_in_a_circle() -> None:
    graph = nx.DiGraph((name, used) for name, path in FILES.items() for used in _imports(path))
    assert [circle for circle in nx.strongly_connected_components(graph) if len(circle) > 1] == []


def test_what_is_private_in_torch_is_asked_for_in_one_place() -> None:
    """What emitted code asks of torch beyond its public interface, for which that has no answer,
    is looked up there by its name. What watches a net from outside (`watch`) asks for more."""
    mentioned = {
        (path.stem, ast.unparse(node))
        for path in FILES.values()
        if path.parent.name != "watch"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and re.match("_[a-z]", node.attr)
    }
    ours = {each for each in mentioned if re.match(r"(torch|F|nn|forward_ad)\b", each[1])}
    assert not ours
    text = (ROOT / "runtime" / "surroundings.py").read_text(encoding="utf-8")
    assert set(re.findall(r'_private\("([\w.]+)"', text)) == {
        "_C._are_functorch_transforms_active",
        "_C._autograd._top_saved_tensors_default_hooks",
        "nn.modules.module._has_any_global_hook",
        "autograd.forward_ad._current_level",
        "nn.Module._call_impl",
        "_lazy_clone",
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
        ["plan", "densenet_cifar", "--batch", "2", "--estimate"],
        ["diff", "resnet_cifar", "densenet_cifar"],
        ["list"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_only_training_and_watching_import_torch(arguments: list[str]) -> None:
    modules = _modules_after(
        "from typer.testing import CliRunner\n"
        "from archc.cli.main import app\n"
        f"result = CliRunner().invoke(app, {arguments})\n"
        "assert result.exit_code == 0, result.output"
    )
    assert "archc.ir.graph" in modules or arguments == ["list"]
    assert "torch" not in modules

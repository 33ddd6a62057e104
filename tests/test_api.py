"""archc from Python: `archc.load`, and the cache that `build` imports from."""

import errno
import linecache
import os
import stat
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import raising, run

import archc
from archc.cache import cache_folder, import_source
from archc.diagnostics import ArchError, SpecWarning, render
from archc.writing import write_atomically

SPEC = """\
net Tiny(width=8, flags=[1, 2], classes=10)(image: [3, 8, 8]) {
    x = image -> conv1: conv(width * len(flags), 3) -> relu
    return x -> global_avg_pool -> classifier: linear(classes)
}
net Wide = Tiny(width=16)
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.arch"
    path.write_text(SPEC)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "archc"


def test_a_spec_is_built_into_a_module(spec: Path) -> None:
    import torch

    net = archc.load(spec, "Wide", classes=3).build()
    assert type(net).__name__ == "Wide"
    assert net(torch.zeros(2, 3, 8, 8)).shape == (2, 3)


def test_arguments_of_build_go_to_the_constructor(spec: Path) -> None:
    import torch

    net = archc.load(spec).build(num_classes=7)
    assert net(torch.zeros(2, 3, 8, 8)).shape == (2, 7)


def test_parameters_are_values_of_python(spec: Path) -> None:
    model = archc.load(spec, width=4, flags=[1, 2, 3])
    assert dict(model.graph.info.parameters)["flags"] == (1, 2, 3)
    assert "12" in model.source


def test_numbers_of_numpy_are_numbers(spec: Path) -> None:
    numbers: Any = {"width": np.int64(4), "flags": [np.int32(1)]}
    model = archc.load(spec, **numbers)
    assert dict(model.graph.info.given) == {"width": 4, "flags": (1,)}


def test_the_model_shows_its_graph_its_figures_and_its_picture(spec: Path) -> None:
    model = archc.load(str(spec))
    assert model.graph.name == "Tiny"
    assert model.summary().params == 3 * 16 * 9 + 16 * 10 + 10
    assert model._repr_svg_().startswith("<svg")
    assert repr(model) == "<archc net Tiny, 5 operators>"


def test_a_wrong_parameter_is_explained(spec: Path) -> None:
    with pytest.raises(ArchError, match="did you mean `width`"):
        archc.load(spec, widht=4)


# ------------------------------------------------------------- passes and -O0

PASSED = SPEC.replace("-> relu", "-> identity -> relu")


def test_passes_are_chosen_as_on_the_command_line(spec: Path) -> None:
    spec.write_text(PASSED)
    for options, command in (
        ({}, []),
        ({"O0": True}, ["-O0"]),
        ({"passes": ""}, ["--passes", ""]),
        ({"passes": "simplify"}, ["--passes", "simplify"]),
        ({"passes": "simplify,share-memory"}, ["--passes", "simplify,share-memory"]),
    ):
        chosen: Any = options
        assert archc.load(spec, **chosen).source == run("compile", str(spec), *command).stdout
    assert len(archc.load(spec, O0=True).graph) == len(archc.load(spec).graph) + 1


@pytest.mark.parametrize(
    ("passes", "said"),
    [
        ("simplfy", "did you mean `simplify`?"),
        ("share-memory,simplify", "the order of passes is"),
        ("simplify{deep=true}", "`simplify` has no option `deep`"),
        ("simplify,", "`passes` needs the name of a pass"),
    ],
)
def test_wrong_passes_are_explained(spec: Path, passes: str, said: str) -> None:
    with pytest.raises(ArchError) as raised:
        archc.load(spec, passes=passes)
    assert said in str(raised.value)
    assert "--> passes:1:" in str(raised.value)


def test_no_pass_and_some_passes_are_not_asked_for_at_once(spec: Path) -> None:
    with pytest.raises(ValueError, match="O0 runs no pass"):
        archc.load(spec, passes="simplify", O0=True)
    with pytest.raises(ValueError, match="O0 runs no pass"):
        archc.loads(SPEC, passes="", O0=True)


# ---------------------------------------------------------------- specs as text


def test_a_text_is_compiled_as_a_file_is(spec: Path) -> None:
    options: Any = {"net": "Wide", "classes": 3}
    (_, *below), (_, *other) = (
        model.source.partition('"""\n\nimport')
        for model in (archc.loads(SPEC, **options), archc.load(spec, **options))
    )
    assert below == [text.replace("tiny.arch", "<text>") for text in other]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"net": "Wide", "classes": 3},
        {"flags": [1, 2, 3], "O0": True},
        {"passes": "simplify"},
    ],
)
def test_the_call_in_a_text_s_source_makes_it_again(options: dict[str, Any]) -> None:
    source = archc.loads(SPEC, **options).source
    call = source.splitlines()[3].strip()
    assert eval(call, {"archc": archc, "text": SPEC}) == source


def test_imports_of_a_text_are_found_in_the_working_folder_and_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.arch").write_text("block Own(w)(x) { return x -> c: conv(w, 3) }\n")
    monkeypatch.chdir(tmp_path)
    text = """\
import "own"
import "blocks/residual"
net N()(x: [8, 8, 8]) { return x -> own: Own(4) -> block: PaddedBlock(4) }
"""
    assert archc.loads(text).summary().params == 4 * 8 * 9 + 2 * (4 * 4 * 9 + 2 * 4)
    with pytest.raises(ArchError, match="did you mean `own`"):
        archc.loads(text.replace('"own"', '"wn"'))
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    with pytest.raises(ArchError, match="E0506"):
        archc.loads(text.replace('"own"', '"../own"'))


def test_a_mistake_in_a_text_is_shown_at_its_place() -> None:
    with pytest.raises(ArchError, match=r"--> <text>:2:9\n") as raised:
        archc.loads(SPEC.replace("image ->", "imag ->", 1))
    assert raised.value._render_traceback_() == str(raised.value).splitlines()
    for text in ("", "\0", "x" * 300_000, "net"):
        with pytest.raises(ArchError):
            archc.loads(text)


# ------------------------------------------------------------------- warnings

LOOSE = """\
net Loose()(image: [3, 8, 8]) {
    lost = image -> relu
    return image -> conv1: conv(8, 3)
}
"""


@pytest.mark.parametrize("as_text", [True, False])
def test_warnings_are_python_s_at_the_line_that_loads(spec: Path, *, as_text: bool) -> None:
    spec.write_text(LOOSE)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            model = archc.loads(LOOSE) if as_text else archc.load(spec)
    assert [type(each.message) for each in caught] == [SpecWarning]
    (only,) = caught
    assert (only.filename, issubclass(only.category, UserWarning)) == (__file__, True)
    loading = linecache.getline(only.filename, only.lineno)
    assert "archc.loads(LOOSE)" in loading
    assert str(only.message) == render(model.warnings[0])
    assert [each.code for each in model.warnings] == ["W0007"]


def test_notes_are_no_warnings_and_warnings_can_be_errors(spec: Path) -> None:
    spec.write_text(SPEC + SPEC.replace("Tiny", "Other").partition("net Wide")[0])
    assert [each.severity for each in archc.load(spec).warnings] == ["note"]
    with pytest.raises(archc.SpecWarning, match="W0007"):
        archc.loads(LOOSE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", archc.SpecWarning)
        assert archc.loads(LOOSE).graph.name == "Loose"


# ------------------------------------------------------------------- the cache


def test_equal_sources_are_one_module_in_a_private_folder(cache: Path) -> None:
    first = import_source("x = 1\n", "Net")
    assert import_source("x = 1\n", "Net") is first
    assert import_source("x = 2\n", "Net").x == 2
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert Path(str(first.__file__)).read_text() == "x = 1\n"


def test_a_damaged_file_in_the_cache_is_replaced(cache: Path) -> None:
    module = import_source("x = 3\n", "Net")
    path = Path(str(module.__file__))
    path.write_text("x = 'damaged'\n")
    del sys.modules[module.__name__]
    assert import_source("x = 3\n", "Net").x == 3


def _writable_by_all(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)


def _a_link(folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)


@pytest.mark.parametrize("plant", [_writable_by_all, _a_link])
def test_a_folder_that_others_control_is_refused(cache: Path, plant: Callable[[Path], Any]) -> None:
    plant(cache)
    with pytest.raises(PermissionError, match="belongs to you alone"):
        import_source("x = 4\n", "Net")
    assert not list(cache.iterdir())


def _no_folder(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path(__file__)))


def _no_home(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(Path, "home", raising(RuntimeError("Could not determine home directory.")))


def _read_only(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: Path, content: bytes) -> None:
        if path.parent == cache:
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        write_atomically(path, content)

    monkeypatch.setattr("archc.cache.write_atomically", write)


@pytest.mark.parametrize("hinder", [_no_folder, _no_home, _read_only])
def test_without_a_cache_a_private_folder_lasts_as_long_as_the_process(
    hinder: Callable[[Path, pytest.MonkeyPatch], None], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hinder(cache, monkeypatch)
    source = f"x = {hinder.__name__!r}\n"
    module = import_source(source, "Net")
    assert module.x == hinder.__name__
    path = Path(str(module.__file__))
    assert path.read_text() == source
    assert path.parent != cache
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_folder_of_a_process_goes_with_it(tmp_path: Path) -> None:
    program = "from archc.cache import import_source; print(import_source('', 'net').__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(archc.__file__).parents[1]),
            "XDG_CACHE_HOME": os.devnull,
            "TMPDIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert str(tmp_path) in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_relative_cache_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert cache_folder().is_absolute()

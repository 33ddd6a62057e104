"""archc from Python: `archc.load`, and the cache that `build` imports from."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import raising

import archc
from archc.cache import cache_folder, import_source
from archc.diagnostics import ArchError
from archc.files import write_atomically

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

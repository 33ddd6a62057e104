"""What all tests share: folders, caches, torchvision, and the switch for long runs."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import BROKEN, TINY
from distributions import Install, installer
from hypothesis import settings

# Time limits for one example fail on a busy machine, and say nothing about the code.
settings.register_profile("archc", deadline=None, print_blob=True)
settings.register_profile("same", settings.get_profile("archc"), derandomize=True, database=None)
settings.load_profile("archc")


@pytest.fixture
def same_examples() -> Iterator[None]:
    """Whole nets are drawn, and few of them: the same in every run."""
    settings.load_profile("same")
    yield
    settings.load_profile("archc")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the long tests, too")
    parser.addoption("--update-golden", action="store_true", help="write the case files anew")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


LONG = (
    "test_generated.py",
    "test_emitted_code.py",
    "test_allocated.py",
    "test_export.py",
    "test_docs.py",
    "test_deploy.py",
    "test_whole_nets.py",
    "test_reference.py",
    "test_limits.py",
)
"""Files that take longest, the longest first: beside it, the other processes do all the others."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONG)))
    if config.getoption("--full"):
        return
    skip = pytest.mark.skip(reason="a long run: give --full")
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def type_cache(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy remembers: from run to run, where pytest remembers something."""
    cache: pytest.Cache | None = getattr(pytestconfig, "cache", None)
    return cache.mkdir("mypy") if cache else tmp_path_factory.mktemp("mypy")


@pytest.fixture(scope="session", autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is left in the caches of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("caches")))
        yield


@pytest.fixture(scope="module", autouse=True)
def left_behind() -> None:
    """What earlier files of tests left in this process, and torch, is not searched for garbage.

    Whole nets are, and a search for garbage among millions of objects takes seconds: where memory
    is measured, each measurement begins with one.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def unsaid() -> None:
    """The runtime says again what it says once."""
    from archc.runtime import untouched

    untouched._SAID.clear()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a test, with one right and one wrong spec."""
    (tmp_path / "tiny.arch").write_text(TINY)
    (tmp_path / "broken.arch").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    yield from installer(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def torchvision() -> Any:
    """The module torchvision, an oracle of the tests."""
    from archc.train.data.vision import import_torchvision

    return import_torchvision("tests")

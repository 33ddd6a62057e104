"""`archc compile`: streams, options, and the file that is written."""

from pathlib import Path

import pytest
from command_line import run

from archc.codegen.emit import is_untouched
from archc.timing import Phases

pytestmark = pytest.mark.usefixtures("folder")


def test_without_a_file_the_module_goes_to_stdout() -> None:
    result = run("compile", "tiny.arch")
    assert result.exit_code == 0
    compile(result.stdout, "model.py", "exec")
    assert "class Tiny" in result.stdout
    assert result.stderr == ""


FAMILIES = [
    ("net A()(x: [3]) { return x }", None),
    ("net A()(x: [3]) { return x }\nnet B = A()\nnet C = B()", None),
    ("net C = B()\nnet B = A()\nnet A()(x: [3]) { return x }", None),
    ('import "resnet"\nnet A = ResNet18(classes=2)\nnet B = ResNet18(classes=3)', None),
    ("net A()(x: [3]) { return x }\nnet B()(x: [3]) { return x }", "B"),
    ("net A()(x: [3]) { return x }\nnet B = A()\nnet C()(x: [3]) { return x }", "B, C"),
    ('import "resnet"\nnet A = ResNet18()\nnet B = ResNet34()', "B"),
]


@pytest.mark.parametrize(("text", "others"), FAMILIES, ids=range(len(FAMILIES)))
def test_a_note_names_nets_that_are_no_variants_of_the_first(text: str, others: str | None) -> None:
    Path("nets.arch").write_text(text + "\n")
    result = run("compile", "nets.arch")
    assert result.exit_code == 0
    first = text[text.index("net ") + 4]
    note = f"note: compiling `{first}`, the first net; `--net` chooses among {others}\n\n"
    assert result.stderr.removesuffix(note) == ""
    assert bool(result.stderr) == (others is not None)
    assert "note" not in result.stdout


def test_a_file_is_written_and_said_to_be() -> None:
    result = run("compile", "tiny.arch", "-o", "model.py")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.endswith("archc compile: wrote model.py\n")
    assert is_untouched(Path("model.py").read_text())


def test_the_same_text_is_not_written_twice() -> None:
    run("compile", "tiny.arch", "-o", "model.py")
    before = Path("model.py").stat().st_mtime_ns
    result = run("compile", "tiny.arch", "-o", "model.py")
    assert result.exit_code == 0
    assert "model.py is up to date" in result.stderr
    assert Path("model.py").stat().st_mtime_ns == before


def test_an_untouched_file_is_overwritten() -> None:
    run("compile", "tiny.arch", "-o", "model.py")
    assert run("compile", "tiny.arch", "--set", "width=4", "-o", "model.py").exit_code == 0
    assert "width=4" in Path("model.py").read_text()


@pytest.mark.parametrize("content", [b"# mine\n", b"\xff\xfe\x00"], ids=["text", "bytes"])
def test_somebody_elses_file_is_not_overwritten(content: bytes) -> None:
    Path("model.py").write_bytes(content)
    result = run("compile", "tiny.arch", "-o", "model.py")
    assert result.exit_code == 1
    assert "error[E0803]" in result.stderr
    assert Path("model.py").read_bytes() == content


def test_a_file_edited_by_hand_needs_force() -> None:
    run("compile", "tiny.arch", "-o", "model.py")
    edited = Path("model.py").read_text().replace("class Tiny", "class Mine")
    Path("model.py").write_text(edited)
    assert run("compile", "tiny.arch", "-o", "model.py").exit_code == 1
    assert Path("model.py").read_text() == edited
    assert run("compile", "tiny.arch", "-o", "model.py", "--force").exit_code == 0
    assert is_untouched(Path("model.py").read_text())


def test_an_empty_file_is_nobodys_work() -> None:
    Path("model.py").touch()
    assert run("compile", "tiny.arch", "-o", "model.py").exit_code == 0


def test_check_compares_and_writes_nothing() -> None:
    missing = run("compile", "tiny.arch", "-o", "model.py", "--check")
    assert (missing.exit_code, Path("model.py").exists()) == (1, False)
    run("compile", "tiny.arch", "-o", "model.py")
    assert run("compile", "tiny.arch", "-o", "model.py", "--check").exit_code == 0
    text = Path("model.py").read_text()
    other = run("compile", "tiny.arch", "--set", "width=4", "-o", "model.py", "--check")
    assert other.exit_code == 1
    assert "model.py is not what tiny.arch compiles to" in other.stderr
    assert Path("model.py").read_text() == text


def test_the_net_and_its_parameters_are_chosen() -> None:
    result = run("compile", "tiny.arch", "--net", "TinyWide", "--set", "classes=3")
    assert result.exit_code == 0
    assert "archc compile tiny.arch --net TinyWide --set classes=3" in result.stdout
    assert result.stderr == ""


def test_the_text_does_not_depend_on_how_the_spec_is_named(tmp_path: Path) -> None:
    texts = {
        run("compile", name, *net).stdout
        for name in ("tiny.arch", "./tiny.arch", str(tmp_path / "tiny.arch"))
        for net in ((), ("--net", "Tiny"))
    }
    assert len(texts) == 1


def test_a_shipped_spec_is_found_by_name() -> None:
    assert run("compile", "densenet_cifar", "--set", "depth=10").exit_code == 0


@pytest.mark.parametrize(
    ("options", "passes"),
    [((), "simplify"), (("-O0",), "none"), (("--passes", ""), "none")],
    ids=["default", "O0", "empty"],
)
def test_passes_are_chosen_and_stated(options: tuple[str, ...], passes: str) -> None:
    result = run("compile", "tiny.arch", *options)
    assert result.exit_code == 0
    assert f"passes: {passes}" in result.stdout


def test_times_of_phases_are_printed_on_stderr() -> None:
    result = run("compile", "tiny.arch", "--time-passes")
    assert result.exit_code == 0
    compile(result.stdout, "model.py", "exec")
    heading, *rows = (line.split() for line in result.stderr.splitlines())
    assert heading == ["phase", "seconds", "share"]
    assert [row[0] for row in rows] == [
        "import", "parse", "elaborate", "verify", "simplify", "stochastic-depth", "share-memory",
        "variations", "codegen", "write", "total",
    ]  # fmt: skip
    assert abs(sum(float(row[1]) for row in rows[:-1]) - float(rows[-1][1])) < 0.01
    plain = run("compile", "tiny.arch", "--time-passes", "-O0", "--check", "-o", "model.py")
    assert plain.exit_code == 1
    assert "simplify" not in plain.stderr
    assert "total" in plain.stderr


def test_a_phase_is_the_sum_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 2.0, 4.0, 5.0, 9.5])
    monkeypatch.setattr("archc.timing.perf_counter", lambda: next(times))
    phases = Phases()
    for name in ("verify", "simplify", "verify"):
        with phases.measure(name):
            pass
    assert str(phases).splitlines() == [
        "phase     seconds  share",
        "verify      5.500    73%",
        "simplify    2.000    27%",
        "total       7.500   100%",
    ]


def test_graphs_are_dumped_on_stderr() -> None:
    result = run("compile", "tiny.arch", "--dump-after", "all")
    before, after = result.stderr.split("# after elaborate\n")[1].split("# after simplify\n")
    assert "= identity" in before
    assert "= identity" not in after
    assert "# after" not in result.stdout

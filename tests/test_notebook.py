"""In a notebook: the magic `%%arch`, and what IPython asks of what it shows.

`Shell` does of IPython what is needed here: it keeps magics and variables, and shows exceptions by
`_render_traceback_`.
"""

from collections.abc import Callable
from typing import Any

import pytest
from documents import ROOT, blocks_of

import archc
from archc.api import Model

CELL = """\
net Tiny(width=8, classes=10)(image: [3, 8, 8]) {
    x = image -> conv1: conv(width, 3) -> relu
    return x -> global_avg_pool -> classifier: linear(classes)
}
net Wide = Tiny(width=16)
"""


class Shell:
    """The part of IPython's interactive shell that an extension uses."""

    def __init__(self) -> None:
        self.magics: dict[tuple[str, str], Callable[[str, str], Any]] = {}
        self.user_ns: dict[str, Any] = {}

    def register_magic_function(
        self, function: Callable[[str, str], Any], magic_kind: str, magic_name: str
    ) -> None:
        self.magics[magic_kind, magic_name] = function

    def push(self, variables: dict[str, Any]) -> None:
        self.user_ns.update(variables)

    def run(self, line: str, cell: str) -> Any:
        return self.magics["cell", "arch"](line, cell)

    def shown(self, line: str, cell: str) -> str:
        """What is shown of the exception that a cell ends with."""
        with pytest.raises(archc.ArchError) as raised:
            self.run(line, cell)
        return "\n".join(raised.value._render_traceback_())


@pytest.fixture
def shell() -> Shell:
    found = Shell()
    archc.load_ipython_extension(found)
    return found


def test_a_cell_is_a_net_that_is_shown_and_bound_to_a_name(shell: Shell) -> None:
    model = shell.run("tiny --net Wide --set classes=3", CELL)
    assert isinstance(model, Model)
    assert shell.user_ns == {"tiny": model}
    assert model._repr_svg_().startswith("<svg")
    assert model.summary().params == 3 * 16 * 9 + 16 * 3 + 3


def test_without_a_name_nothing_is_bound(shell: Shell) -> None:
    assert shell.run("", CELL).graph.name == "Tiny"
    assert shell.user_ns == {}


def test_the_magic_chooses_passes_as_the_command_line_does(shell: Shell) -> None:
    cell = CELL.replace("-> relu", "-> identity -> relu")
    plain, simple, default = (
        len(shell.run(line, cell).graph) for line in ("-O0", "--passes simplify", "")
    )
    assert plain == default + 1
    assert simple == default


def test_warnings_go_to_stderr_once(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run("", "net N()(image: [3, 8, 8]) {\n    lost = image -> relu\n    return image\n}\n")
    said = capsys.readouterr().err
    assert said.count("warning[W") == said.count("<cell>:3:") == 1


def test_a_mistake_is_shown_at_its_line_of_the_cell_without_a_traceback(shell: Shell) -> None:
    shown = shell.shown("", CELL.replace("image -> conv1", "imag -> conv1"))
    assert "--> <cell>:3:9" in shown
    assert "did you mean `image`?" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--net Wid", "did you mean `Wide`?"),
        ("--set widht=4", "did you mean `width`?"),
        ("--set width", "--set takes NAME=VALUE, not `width`"),
        ("--set width=4 --set width=5", "--set gives `width` twice"),
        ("--passes simplfy", "did you mean `simplify`?"),
        ("-O0 --passes simplify", "not allowed with"),
        ("--nets Wide", "unrecognized arguments: --nets"),
        ("one two", "unrecognized arguments: two"),
        ("class", "`class` is no name of a variable"),
        ("2tiny", "`2tiny` is no name of a variable"),
        ("'tiny", "no closing quotation"),
    ],
)
def test_wrong_usage_is_said_without_a_traceback(shell: Shell, line: str, said: str) -> None:
    shown = shell.shown(line, CELL)
    assert shown.startswith("error")
    assert said in shown
    assert shell.user_ns == {}


def test_the_cell_of_the_readme_runs(shell: Shell) -> None:
    (block,) = [b for b in blocks_of(ROOT / "README.md", "text") if "%%arch" in b.text]
    load, _, cell = block.text.partition("%%arch")
    line, _, text = cell.partition("\n")
    assert load.split() == ["%load_ext", "archc"]
    assert shell.run(line, text) is shell.user_ns["wide"]
    assert str(shell.user_ns["wide"].summary().exits[0].type) == "[100]"

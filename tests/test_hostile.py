"""Hostile specs: what they get is a diagnostic or an inert file, soon and in little memory."""

import ast
import errno
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from command_line import TINY, raising, run

import archc
from archc.compiler import Request, compile_spec
from archc.diagnostics import ArchError
from archc.elaborate.files import load_program
from archc.viz.draw import to_dot, to_svg

SECONDS = 10
MEMORY = 2**30


def bounded(spec: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """The command on a spec, in a process with 10 s of processor time and 1 GiB."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    done = subprocess.run(
        [sys.executable, "-B", "-m", "archc", *command, str(spec)],
        env={**os.environ, "PYTHONPATH": str(Path(archc.__file__).parents[1])},
        capture_output=True,
        text=True,
        errors="replace",
        preexec_fn=limit,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    return done


def refused(text: str, folder: Path) -> str:
    """The codes of the errors of a spec."""
    spec = folder / "spec.arch"
    spec.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(ArchError) as caught:
        compile_spec(Request(str(spec))).source()
    assert caught.value.diagnostics[0].labels, "no place"
    return " ".join(sorted({each.code or "" for each in caught.value.diagnostics}))


def net(value: str) -> str:
    return f"net N()(x: [3, 8, 8]) {{\n    n = {value}\n    return x -> conv(n, 1)\n}}\n"


# ----------------------------------------------------------------- numbers, depth


HUGE = {
    "digits": net("9" * 4000),
    "infinite": net("1e999"),
    "tower": net("9 ** 9 ** 9"),
    "list": net("[0] * 10 ** 12"),
    "range": net("range(10 ** 15)"),
    "range of a float": net("range(ceil(9e307))"),
    "text": net('"ab" * 10 ** 12'),
    "channels": net("10 ** 9"),
    "kernel": "net N()(x: [3, 8, 8]) { return x -> conv(3, 65536) }\n",
    "parameters": "net N()(x: [65536, 8, 8]) { return x -> conv(65536, 1023, padding=600) }\n",
    "blocks": "block B0()(x) { return x -> relu }\n"
    + "".join(f"block B{i + 1}()(x) {{ return x -> B{i} -> B{i} }}\n" for i in range(40))
    + "net N()(x: [3, 8, 8]) { return x -> B40 }\n",
    "lists": net("c") + "const a = [1] * 1000\nconst b = [a] * 1000\nconst c = [b] * 10 ** 9\n",
    "strings": net("[s for s in range(999999) for t in range(9)]"),
    "loops": "net N()(x: [3, 8, 8]) {\n"
    + "".join(f"for i{k} in range(10000) {{\n" for k in range(4))
    + "x = x -> relu\n"
    + "}\n" * 4
    + "return x\n}\n",
}


SLOW = ["blocks", "loops", "parameters"]


@pytest.mark.parametrize("what", sorted(HUGE.keys() - SLOW))
def test_enormous_numbers_are_refused(what: str, tmp_path: Path) -> None:
    assert refused(HUGE[what], tmp_path)


@pytest.mark.parametrize("what", SLOW)
def test_enormous_specs_take_little_time_and_memory(what: str, tmp_path: Path) -> None:
    spec = tmp_path / "spec.arch"
    spec.write_text(HUGE[what])
    assert bounded(spec, "check").returncode == 1


PAIRS = {"()": "1", "[]": "1", "{}": "1", "f()": "x", "x[]": "0"}
DEEP = {
    **{pair: net(pair[:-1] * 300 + inner + pair[-1] * 300) for pair, inner in PAIRS.items()},
    "not": net("not " * 3000 + "true"),
    "minus": net("-" * 3000 + "1"),
    "power": net("2 ** " * 800 + "1"),
    "choice": net("1 if true else " * 200 + "1"),
    "if": "net N()(x: [3]) {\n" + "if true {\n" * 300 + "x = x" + "\n}" * 300 + "\nreturn x\n}\n",
    "for": "net N()(x: [3]) {\n" + "for i in [1] {\n" * 300 + "x = x" + "\n}" * 300 + "\n}\n",
    "scope": "net N()(x: [3]) {\n" + "scope s {\n" * 300 + "x = x" + "\n}" * 300 + "\n}\n",
    "itself": "block B(n)(x) { return x -> B(n + 1) }\nnet N()(x: [3]) { return x -> B(0) }\n",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_deep_nesting_is_refused_with_a_place(text: str, tmp_path: Path) -> None:
    assert refused(text, tmp_path)


# ----------------------------------------------------------------- files


def test_imports_in_a_circle_are_refused(tmp_path: Path) -> None:
    for one, other in ("ab", "bc", "ca"):
        (tmp_path / f"{one}.arch").write_text(f'import "{other}"\n')
    with pytest.raises(ArchError, match="E0503"):
        load_program(tmp_path / "a.arch")


@pytest.mark.parametrize(
    "path",
    ["../secret", "../secret.arch", "/etc/passwd", "inside/../../secret", "link", "folder", "",
     "https://example.org/x", "..\\\\secret", "~/secret", ".", "a{{7*7}}", "x" * 300],
)  # fmt: skip
def test_imports_stay_in_the_project(path: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "folder.arch").mkdir(parents=True)
    (project / "inside").mkdir()
    secret = tmp_path / "secret.arch"
    secret.write_text("root: not a spec, and never shown\n")
    (project / "link.arch").symlink_to(secret)
    spec = project / "spec.arch"
    spec.write_text(f'import "{path}"\n{TINY.removeprefix("arch 1")}')
    with pytest.raises(ArchError) as caught:
        load_program(spec)
    assert "never shown" not in str(caught.value)
    assert {each.code for each in caught.value.diagnostics} <= {"E0504", "E0505", "E0506"}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_said(tmp_path: Path) -> None:
    spec = tmp_path / "spec.arch"
    spec.write_text(TINY)
    spec.chmod(0)
    assert "E0101" in bounded(spec, "check").stderr


BYTES = {
    "random": bytes(i * 7919 % 256 for i in range(5000)),
    "UTF-16": TINY.encode("utf-16"),
    "surrogate": TINY.encode() + b"# \xed\xa0\x80\n",
    "overlong": b"# \xc0\x80\n",
    "NUL": TINY.encode() + b"\0",
    "lone CR": TINY.replace("\n", "\r").encode(),
    "escape": b"net \x1b[2J\x1b]0;title\x07()(x: [3]) { return x }\n",
    "two marks": b"\xef\xbb\xbf\xef\xbb\xbf" + TINY.encode(),
    "bidi": "# \u202e } {\n".encode(),
}


@pytest.mark.parametrize("data", BYTES.values(), ids=BYTES)
def test_bytes_that_are_no_spec_are_refused(data: bytes, tmp_path: Path) -> None:
    spec = tmp_path / "spec.arch"
    spec.write_bytes(data)
    with pytest.raises(ArchError) as caught:
        load_program(spec)
    shown = str(caught.value)
    assert all(char.isprintable() or char == "\n" for char in shown)


def test_a_spec_with_a_terrible_name_is_refused_calmly(tmp_path: Path) -> None:
    spec = tmp_path / "\x1b[31m<script>.arch"
    spec.write_text("net N()(x: [3]) { return y }\n")
    done = bounded(spec, "check")
    assert done.returncode == 1
    assert r"\x1b[31m<script>.arch:1:" in done.stderr


# ----------------------------------------------------------------- markup and code

MARKUP = [
    '__import__("os").system("x")', "{{7*7}}", "{% for x in y %}", "<script>alert(1)</script>",
    "]]>", "&amp;", "--><!--", '"""', "'''", "\\", '\\"""', "#", "a\\nb", "${x}", "%s", "é漢字",
    '" onload="x', "</title><script>", "<TABLE HREF='javascript:x'>",
]  # fmt: skip


LABELS = {each for each in MARKUP if re.fullmatch(r"[^\s\".'\\{}]+", each, re.ASCII)}
LABELS &= {each for each in MARKUP if each.isascii()}
"""What PyTorch takes as a key may be a label."""


def with_doc(doc: str) -> str:
    return (
        f"## {doc}\nblock B(n)(x) {{ return x -> c: conv(n, 1) }}\n\n## {doc}\n## {doc}\n"
        f"net N(\n    ## {doc}\n    n=3,\n)(x: [3, 8, 8]) {{\n    return x -> a: B(n)\n}}\n"
    )


def without_text(source: str) -> str:
    """What a file does: docstrings and the comment of the checksum left out."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body[:1] = [ast.Pass()]
    return ast.unparse(tree)


@pytest.mark.parametrize("markup", MARKUP)
def test_doc_comments_are_inert_in_emitted_code(markup: str, tmp_path: Path) -> None:
    spec = tmp_path / "spec.arch"
    spec.write_text(with_doc(markup))
    source = compile_spec(Request(str(spec))).source()
    spec.write_text(with_doc("harmless"))
    twin = compile_spec(Request(str(spec))).source()
    assert source.isascii()
    assert without_text(source) == without_text(twin)


@pytest.mark.parametrize("markup", MARKUP)
def test_strings_and_names_are_inert_everywhere(markup: str, tmp_path: Path) -> None:
    """In labels they are refused, or strings; in messages and in names of files they are shown."""
    quoted = markup.replace("\\", "\\\\").replace('"', '\\"').replace("{", "{{").replace("}", "}}")
    label = f'net N()(x: [3, 8, 8]) {{ return x -> "{quoted}": conv(3, 1) }}\n'
    if markup in LABELS:
        (tmp_path / "label.arch").write_text(label)
        source = compile_spec(Request(str(tmp_path / "label.arch"))).source()
        strings = [n.value for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant)]
        assert strings.count(markup) == 2  # add_module, get_submodule
        assert without_text(source).count(markup) == 2
    else:
        assert refused(label, tmp_path)
    said = f'net N()(x: [3, 8, 8]) {{\n    assert 1 == 2, "{quoted}"\n    return x\n}}\n'
    assert refused(said, tmp_path)
    spec = tmp_path / f"{markup.replace('/', '')}.arch"
    spec.write_text(with_doc("harmless"))
    compilation = compile_spec(Request(str(spec)))
    source = compilation.source()
    assert source.isascii()
    plain = tmp_path / "plain.arch"
    plain.write_text(with_doc("harmless"))
    assert without_text(source) == without_text(compile_spec(Request(str(plain))).source())


def test_drawn_words_are_inert(tmp_path: Path) -> None:
    """Values of parameters are the free text that a picture shows."""
    text = "block B(s)(x) { return x -> c: conv(3, 1) }\nnet N()(x: [3, 8, 8]) {\n"
    for i, markup in enumerate(MARKUP):
        quoted = markup.replace("\\", "\\\\").replace('"', '\\"')
        quoted = quoted.replace("{", "{{").replace("}", "}}")
        text += f'    x = x -> b{i}: B("{quoted}")\n'
        if markup in LABELS:
            text += f'    x = x -> "{quoted}": conv(3, 1)\n'
    spec = tmp_path / "spec.arch"
    spec.write_text(text + "    return x\n}\n")
    graph = compile_spec(Request(str(spec))).graph
    tags = set()
    for element in ET.fromstring(to_svg(graph)).iter():
        tags.add(element.tag.rpartition("}")[2])
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert "href" not in name
            assert "url(" not in value
    assert tags <= {"svg", "title", "g", "rect", "text", "path", "polygon"}
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', '""', to_dot(graph)).replace("->", "")
    assert "<" not in outside
    assert not re.search(r"\b(URL|href|image|tooltip)=", outside)


# ----------------------------------------------------------------- outputs


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", [("compile",), ("viz",)], ids=" ".join)
def test_a_full_disk_is_said_and_leaves_the_old_file(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path("net.svg" if command == ("viz",) else "net.py")
    assert run(*command, "tiny.arch", "-o", str(out)).exit_code == 0
    before = out.read_bytes()
    Path("tiny.arch").write_text(TINY.replace("width=8", "width=9"))
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr("os.fsync", raising(full))
    result = run(*command, "tiny.arch", "-o", str(out))
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert out.read_bytes() == before
    assert not list(Path().glob("*.tmp"))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", [("compile",), ("viz",)], ids=" ".join)
def test_a_link_or_a_folder_is_not_written_to(command: tuple[str, ...]) -> None:
    Path("victim").write_text("precious")
    Path("link.svg").symlink_to("victim")
    Path("folder.svg").mkdir()
    for out in ("link.svg", "folder.svg"):
        assert run(*command, "tiny.arch", "--force", "-o", out).exit_code in (1, 2)
    assert Path("victim").read_text() == "precious"

"""Files as text: what is read, and what is refused before it is parsed."""

import os
from pathlib import Path

import pytest

from archc.diagnostics import ArchError, Diagnostic, Source
from archc.syntax.source import read_source, source_from_text


def read(path: Path) -> Source:
    return read_source(path, display=path.name, name=path.name)


def refusal(path: Path) -> Diagnostic:
    with pytest.raises(ArchError) as caught:
        read(path)
    return caught.value.diagnostics[0]


def test_a_byte_order_mark_and_crlf_are_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.arch"
    path.write_bytes(b"\xef\xbb\xbfarch 1\r\n# x\r\n")
    source = read(path)
    assert source.text == "arch 1\n# x\n"
    assert (source.path, source.name, source.file) == ("a.arch", "a.arch", path)


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "densenet.arch").touch()
    found = refusal(tmp_path / "densnet.arch")
    assert (found.code, found.help) == ("E0101", "did you mean `densenet.arch`?")


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").code == "E0102"
    assert refusal(tmp_path).code == "E0102"
    assert refusal(Path("/dev/zero")).code == "E0102"


def test_a_file_has_at_most_256_kib(tmp_path: Path) -> None:
    path = tmp_path / "a.arch"
    path.write_bytes(b"\n" * (256 * 1024))
    assert len(read(path).text) == 256 * 1024
    path.write_bytes(b"\n" * (256 * 1024 + 1))
    assert refusal(path).code == "E0103"


def test_a_byte_that_is_not_utf8_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.arch"
    path.write_bytes("# é\r\n# ".encode() + b"\xff\n")
    found = refusal(path)
    assert found.code == "E0104"
    assert str(found.labels[0].span) == "a.arch:2:3"


@pytest.mark.parametrize(
    "char", ["\0", "\r", "\x1b", "\x7f", "\x85", "\u200b", "\u202e", "\u2066", "\ufeff", "\u2028",
             "\u00ad", "\u3164", "\U000e0041", "\ud800"],
)  # fmt: skip
def test_characters_that_cannot_be_seen_are_refused(char: str) -> None:
    with pytest.raises(ArchError) as caught:
        source_from_text(f"# a\n# b{char}c\n", "a.arch")
    (found,) = caught.value.diagnostics
    assert found.code == "E0105"
    assert str(found.labels[0].span) == "a.arch:2:4"
    assert char.isprintable() or char not in str(caught.value)


def test_tabs_and_letters_of_all_scripts_are_welcome_in_comments_and_strings() -> None:
    source_from_text('#\tüñí 漢字 עברית\nconst x = "→"\n')


def test_a_line_has_at_most_4096_characters() -> None:
    source_from_text("#" * 4096 + "\n")
    with pytest.raises(ArchError) as caught:
        source_from_text("\n" + "#" * 4097, "a.arch")
    assert str(caught.value.diagnostics[0].labels[0].span) == "a.arch:2:4097"

"""What is typed by habit from Python and PyTorch: what archc says and makes of it."""

from pathlib import Path

import pytest
from command_line import run

from archc.checking import CheckStage, check_of, check_spec
from archc.diagnostics import Diagnostic, Source, edited
from archc.elaborate.files import find_spec, load_text, shipped_specs
from archc.elaborate.limits import Limits
from archc.elaborate.net import elaborate
from archc.ir.dump import dump
from archc.syntax.habits.interpolated import interpolated

NET = """\
net Small(classes=10, wide=false)(image: [3, 32, 32]) {{
    x = image -> stem: conv(16, 3)
    n = 3
    for i in range(2) {{
        {0}
    }}
    return x -> global_avg_pool -> fc: linear(classes)
}}
"""


def checked(text: str) -> tuple[CheckStage, tuple[Diagnostic, ...]]:
    found = check_of(Source("net.arch", text), Limits())(text)
    errors = tuple(each for each in found.diagnostics if each.severity == "error")
    return found.stage, errors


def mended(text: str) -> str:
    """A text after the mends of its first error, and of what then comes to light."""
    for _ in range(5):
        _, errors = checked(text)
        if not errors:
            return text
        assert errors[0].fix, errors[0]
        text = edited(text, errors[0].fix)
    raise AssertionError(text)


NAMED = '\n        x = x -> "{l}": conv(8)'
MENDED = [
    # labels that are put together
    ('x = x -> "c" + str(i): conv(8, 3)', 'x = x -> "c{i}": conv(8, 3)'),
    ('x = x -> "c" + str(i) + "_" + str(i + 1): conv(8)', 'x = x -> "c{i}_{i + 1}": conv(8)'),
    ('x = x -> "c%d" % i: conv(8, 3)', 'x = x -> "c{i}": conv(8, 3)'),
    ('x = x -> "c%s_%d" % (i, n): conv(8, 3)', 'x = x -> "c{i}_{n}": conv(8, 3)'),
    ('x = x -> "c{}".format(i): conv(8, 3)', 'x = x -> "c{i}": conv(8, 3)'),
    ('x = x -> "c{1}_{0}".format(n, i): conv(8)', 'x = x -> "c{i}_{n}": conv(8)'),
    ("x = x -> str(i): conv(8, 3)", 'x = x -> "{i}": conv(8, 3)'),
    ('x = x -> "c{str(i)}": conv(8, 3)', 'x = x -> "c{i}": conv(8, 3)'),
    ("x = x -> 'c' + str(i): conv(8, 3)", 'x = x -> "c{i}": conv(8, 3)'),
    ("x = x -> f'c{i}': conv(8, 3)", 'x = x -> "c{i}": conv(8, 3)'),
    ('x = x -> f"c{i!s}": conv(8, 3)', 'x = x -> "c{i}": conv(8, 3)'),
    ('x = x -> "c" + i: conv(8, 3)', 'x = x -> "c{i}": conv(8, 3)'),
    ('scope "s%d" % i { x = x -> c: conv(8) }', 'scope "s{i}" { x = x -> c: conv(8) }'),
    ('scope "s" + str(i) { x = x -> c: conv(8) }', 'scope "s{i}" { x = x -> c: conv(8) }'),
    (f'l = "c" + str(i){NAMED}', f'l = "c{{i}}"{NAMED}'),
    (f'l = "c%d" % i{NAMED}', f'l = "c{{i}}"{NAMED}'),
    (f'l = "c{{}}".format(i){NAMED}', f'l = "c{{i}}"{NAMED}'),
    (f'l = "c" + i{NAMED}', f'l = "c{{i}}"{NAMED}'),
    # numbers in quotes
    ('x = x -> "c{i}": conv("64", 3)', 'x = x -> "c{i}": conv(64, 3)'),
    ('x = x -> "c{i}": conv(64, "3", stride="2")', 'x = x -> "c{i}": conv(64, 3, stride=2)'),
    ('x = x -> "c{i}": conv(64, 3, bias="True")', 'x = x -> "c{i}": conv(64, 3, bias=true)'),
    ('x = x -> dropout("0.5")', "x = x -> dropout(0.5)"),
    ('x = x -> "c{i}": conv("64" // 2)', 'x = x -> "c{i}": conv(64 // 2)'),
    ('if i < "1" { x = x -> relu }', "if i < 1 { x = x -> relu }"),
    ('for j in range("2") { x = x -> relu }', "for j in range(2) { x = x -> relu }"),
    ('x = x -> "c{i}": conv(max(n, "8"))', 'x = x -> "c{i}": conv(max(n, 8))'),
    # conditions
    ("if wide is not true { x = x -> relu }", "if wide != true { x = x -> relu }"),
    ("if not wide is True { x = x -> relu }", "if not wide == true { x = x -> relu }"),
    ("if n => 3 { x = x -> relu }", "if n >= 3 { x = x -> relu }"),
    ("if n % 2 { x = x -> relu }", "if n % 2 != 0 { x = x -> relu }"),
    ("if !wide && !(n == 4) { x = x -> relu }", "if not wide and not (n == 4) { x = x -> relu }"),
    ("if (n == 3 || !wide) { x = x -> relu }", "if (n == 3 or not wide) { x = x -> relu }"),
    ("if wide == (!wide) { x = x -> relu }", "if wide == (not wide) { x = x -> relu }"),
    ("w = !wide\n        if w { x = x -> relu }", "if not wide { x = x -> relu }"),
    # updates
    (
        'ws = [2, 4]\n        ws[i] *= 2 + 1\n        x = x -> "c{i}": conv(ws[0] * ws[1])',
        'ws = [2, 4]\n        ws[i] = ws[i] * 3\n        x = x -> "c{i}": conv(ws[0] * ws[1])',
    ),
    (
        'w = 4\n        w *= 2; w *= n + 1\n        x = x -> "c{i}": conv(w)',
        'x = x -> "c{i}": conv(32)',
    ),
    (
        'w = 9\n        if n == 3 { w -= max(n, 4) }\n        x = x -> "c{i}": conv(w)',
        'x = x -> "c{i}": conv(5)',
    ),
    # parts of tensors
    (
        "a, b = x.chunk(2, dim=1)\n        x = b + a",
        "a, b = (take(x, x.channels // 2), take(x, x.channels // 2, start=x.channels // 2))\n"
        "        x = b + a",
    ),
    (
        "a, b = x.split(8, 1)\n        x = concat(b, a)",
        "a, b = (take(x, 8), take(x, 8, start=8))\n        x = concat(b, a)",
    ),
    ("w = x[:, 2:] -> relu", "w = take(x, x.channels - 2, start=2) -> relu"),
    ("x = x[:, 8:16] -> \"c{i}\": conv(16)", "x = take(x, 16 - 8, start=8) -> \"c{i}\": conv(16)"),
    # axes
    ('h, w = x.shape[2:]\n        x = x -> "c{i}": conv(h + w)', 'x = x -> "c{i}": conv(64)'),
    (
        'c, h, w = x.shape[1:]\n        x = x -> "c{i}": conv(c + h + w)',
        'x = x -> "c{i}": conv(x.channels + 64)',
    ),
    # signs of printed text
    ("x = x \u2192 relu", "x = x -> relu"),
    ("if n \u2265 2 \u00d7 2 \u2212 1 { x = x -> relu }", "if n >= 2 * 2 - 1 { x = x -> relu }"),
    # functions and lists
    (
        'for j, (w, k) in [(8, 1), (4, 3)] { x = x -> "c{i}_{j}": conv(w, k) }',
        'for j, (w, k) in enumerate([(8, 1), (4, 3)]) { x = x -> "c{i}_{j}": conv(w, k) }',
    ),
    (
        "ls = nn.ModuleList([relu(), nn.SiLU()])\n        for l in ls { x = x -> l }",
        "ls = [relu(), silu()]\n        for l in ls { x = x -> l }",
    ),
    ("ls = nn.ModuleList()\n        ls += [relu()]\n        x = x -> ls[0]", "x = x -> relu"),
    ("f = lambda t: relu(t)\n        x = x -> f", "x = x -> relu"),
    (
        "ws = list(map(lambda w: 2 * w, [4, 8]))\n        x = x -> \"c{i}\": conv(ws[i])",
        "ws = [2 * w for w in [4, 8]]\n        x = x -> \"c{i}\": conv(ws[i])",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "meant"), MENDED, ids=[typed[:50] for typed, _ in MENDED])
def test_a_habit_is_mended_to_what_was_meant(typed: str, meant: str) -> None:
    result = mended(NET.format(typed))
    ours, theirs = (elaborate(load_text(text, "x")).graph for text in (result, NET.format(meant)))
    assert dump(ours) == dump(theirs)


@pytest.mark.parametrize("comment", ["// then act", "//then act on it", "// the act, (in) 2"])
def test_a_comment_of_c_behind_a_pipe_is_one(comment: str) -> None:
    text = "net N()(x: [8, 4, 4]) {\n    x = x -> relu %s\n    return x\n}\n"
    assert mended(text % comment) == text % comment.replace("//", "#")


NOT_MENDED = [
    ('x = x -> "c%02d" % i: conv(8)', "E0156", "no formats"),
    ('x = x -> "c{i:02d}": conv(8)', "E0165", "write the expression alone"),
    ("f = lambda i: 2 * i", "E0122", "`[2 * i for i in range(n)]`"),
    ("f = lambda x: x -> relu", "E0122", "write a `block`"),
    ("f = lambda a, b: a + b", "E0122", "put the expression in place"),
    ("a, b = x.chunk(2)", "E0212", "`take(x, n)`"),
    ("a, b = (x -> relu).chunk(2, 1)", "E0212", "`take(x, n)`"),
    ("a, b = torch.chunk(x, 2, 1)", "E0301", "`take(x, n)`"),
    ("a, b = torch.split(x, 8, dim=1)", "E0301", "`take(x, n)`"),
    ("x = x.flatten() -> relu", "E0212", ""),
    ("x = x.mean(1)", "E0212", ""),
    ("x = x.view(-1)", "E0212", ""),
    ("x = x[:8, ...]", "E0135", ""),
    ("x = x[..., :8]", "E0135", "the columns of an image"),
    ("x = x[..., 0, :]", "E0135", "`take(x, 8)`"),
    ("x = x[:, :8, 1:3]", "E0135", ""),
    ("x = x -> upsample(scale=1.5)", "E0211", "`round()` rounds"),
    ("ls = nn.ModuleList(*xs)", "E0158", ""),
    ("ls = nn.ModuleList(n)", "E0301", "a list of layers is one"),
    ("if self.training { x = x -> dropout(0.5) }", "E0301", "drops in training only"),
    ("for j, (w, k) in [(8, 1), (4, 3, 2)] { x = x -> relu }", "E0208", ""),
    ("if n == 3 & n == 4 { x = x -> relu }", "E0134", "`and`"),
    ("if !n == 3 { x = x -> relu }", "E0126", "in parentheses"),
    ("if !(n) < 3 { x = x -> relu }", "E0126", "in parentheses"),
    ("if wide != !wide { x = x -> relu }", "E0126", "in parentheses"),
    ("if (!n\n    == 3) { x = x -> relu }", "E0126", "in parentheses"),
    ("n -= (4 +\n        4)", "E0110", "write `n = n - ...`"),
    ("n -= 4 +\n        4", "E0110", "write `n = n - ...`"),
    ("x *= x\n        -> relu", "E0110", "write `x = x * ...`"),
    ("ws[1:] *= 2", "E0110", "write `a = a * ...`"),
    ("for j in 0..3 { x = x -> relu }", "E0157", "which leaves `3` out"),
    ('w = "64"\n        x = x -> "c{i}": conv(w)', "E0211", ""),
    ("x = x -> relu(1, 2)", "E0311", ""),
    ('x = x -> "c{i}": conv(8, 3, out=16)', "E0313", ""),
    ('x = x -> "c{i}": conv(8, 4)', "E0211", "`padding=0`"),
    ("x = x -> pixel_shuffle(3)", "E0204", "`-> conv(18, 3)`"),
    ("x = x -> relu // act", "E0140", "a comment begins with `#`"),
    ("x = x * n // act here", "E0110", ""),
    ("if n == 3 { x = x -> relu // then act }", "E0110", ""),
    ("a, b = x.chunk(2)", "E0212", "is the batch"),
    # texts that can be two things
    ("out1 = x -> relu\n        out2 = x\n        x = out1 + out3", "E0301", "did you mean"),
    ("x = x -> relu conv(8)", "E0110", "if it is a label"),
    ("x = x -> dropout(02)", "E0125", "with a point"),
    ("x -> relu", "E0141", "or return it"),
    ("a b = x", "E0115", "line of its own"),
    ("x = x -> conv(8, 3], 4)", "E0112", "where it belongs"),
]


@pytest.mark.parametrize(("typed", "code", "help"), NOT_MENDED, ids=[row[0] for row in NOT_MENDED])
def test_where_archc_does_not_know_it_offers_no_mend(typed: str, code: str, help: str) -> None:
    _, errors = checked(NET.format(typed))
    assert errors[0].code in (code, "E0204")
    assert errors[0].fix == ()
    assert help in (errors[0].help or "")


HIDING = [
    ("conv = x -> c: conv(8)\n        x = x -> d: conv(8)", "conv", "E0213"),
    ("relu = 3\n        x = x -> relu", "relu", "E0217"),
    ("bn = x -> relu\n        x = bn -> bn", "bn", "E0217"),
    ("range = 3\n        for j in range(2) { x = x -> relu }", "range", "E0213"),
    ('conv = conv(16)\n        x = x -> "c{i}": conv(8, 3)', "conv", "E0216"),
    ("for max in [1, 2] { x = x -> c: conv(max(1, 2)) }", "max", "E0213"),
]


@pytest.mark.parametrize(("typed", "name", "code"), HIDING, ids=[row[0][:30] for row in HIDING])
def test_a_variable_that_hides_an_operator_is_pointed_at(typed: str, name: str, code: str) -> None:
    text = NET.format(typed)
    found = checked(text)[1][0]
    assert found.code == code
    assert found.help == f"the variable `{name}` hides what is called so: give it another name"
    place = found.labels[1].span
    assert place.text == name
    assert place.start == text.index(name, text.index(typed))


def test_a_parameter_that_hides_a_function_is_pointed_at() -> None:
    text = (
        "net N(range=3)(x: [3, 8, 8]) {\n    for i in range(3) { x = x -> relu }\n    return x\n}\n"
    )
    (found,) = checked(text)[1]
    assert found.labels[1].span.start == text.index("range=3")


@pytest.mark.parametrize("first", ["N", "B", "batch", "batch_size", "-1", "None"])
def test_a_batch_axis_is_left_out(first: str) -> None:
    text = f"net N()(image: [{first}, 3, 32, 32]) {{\n    return image -> stem: conv(16, 3)\n}}\n"
    (found,) = checked(text)[1]
    assert "one sample" in (found.help or "")
    assert mended(text) == text.replace(f"{first}, ", "")


def test_a_size_that_is_called_otherwise_is_asked_about() -> None:
    (found,) = checked("net N()(image: [C, 3, 32, 32]) { return image -> relu }\n")[1]
    assert found.help == "if `C` is the batch, leave it out: shapes are of one sample"
    assert found.fix == ()


@pytest.mark.parametrize(
    ("shape", "noted"),
    [
        ("[1, 3, 32, 32]", True),
        ("[64, 3, 224, 224]", True),
        ("[1, 1, 28, 28]", True),
        ("[1, 3, H, W]", True),
        ("[1, 64, 64, 64]", False),
        ("[1, 32, 32]", False),
        ("[3, 32, 32]", False),
        ("[1, 3, 4, 4]", False),
    ],
)
def test_a_volume_that_looks_like_a_batch_of_images_is_noted(shape: str, noted: bool) -> None:
    text = f"net N()(image: {shape}) {{\n    return image -> relu\n}}\n"
    said = check_of(Source("net.arch", text), Limits())(text).diagnostics
    notes = [each for each in said if each.severity == "note"]
    assert len(notes) == noted
    assert all("if `" in (each.help or "") for each in notes)


@pytest.mark.parametrize(
    ("shape", "meant"),
    [
        ("[32, 32, 3]", "[3, 32, 32]"),
        ("[480, 640, 3]", "[3, 480, 640]"),
        ("[28, 28, 1]", "[1, 28, 28]"),
        ("[64, 100, 1]", None),  # a series
        ("[3, 3, 3]", None),
        ("[3, 32, 32]", None),
        ("[64, 32, 32]", None),
    ],
)
def test_channels_that_come_last_are_noted(shape: str, meant: str | None) -> None:
    text = f"net N()(image: {shape}) {{\n    return image -> relu\n}}\n"
    said = check_of(Source("net.arch", text), Limits())(text).diagnostics
    notes = [each.help or "" for each in said if each.severity == "note"]
    assert [note.endswith(f"write `{meant}`") for note in notes] == [True] * (meant is not None)


def test_axes_that_are_put_into_a_slice_are_those_of_a_reshape() -> None:
    (found,) = checked(NET.format("x = x * s[:, :, None, None]"))[1]
    assert found.code == "E0135"
    assert "`reshape(s, [64, 1, 1])`" in (found.help or "")


@pytest.mark.parametrize(
    ("index", "here", "there"),
    [("0", "channels", "the batch"), ("1", "height", "`x.channels`"), ("2", "width", "`x.height`")],
)
def test_axes_that_are_counted_are_told(index: str, here: str, there: str) -> None:
    text = NET.format(f'x = x -> "c{{i}}": conv(x.shape[{index}])')
    said = check_of(Source("net.arch", text), Limits())(text).diagnostics
    (told,) = [each for each in said if each.code == "W0011"]
    assert told.message == f"`x.shape[{index}]` is `x.{here}`: axes count without the batch"
    assert told.help == f"write `x.{here}`; in PyTorch, it is {there}"


def test_axes_from_the_end_are_the_same_in_both() -> None:
    text = NET.format('x = x -> "c{i}": conv(x.shape[-1])')
    said = check_of(Source("net.arch", text), Limits())(text).diagnostics
    assert not [each for each in said if each.code == "W0011"]


@pytest.mark.parametrize("name", shipped_specs())
def test_nothing_is_to_be_said_of_a_shipped_spec(name: str) -> None:
    """No error, nothing unused, no habit of PyTorch, no note."""
    assert not check_spec(find_spec(name), Limits())


def test_a_block_that_is_opened_names_its_regions(tmp_path: Path) -> None:
    result = run("viz", "densenet", "-o", str(tmp_path / "d.svg"), "--open", "DenseBlock")
    assert result.exit_code == 1
    assert "`DenseBlock` is a block, and regions are named by their labels" in result.stderr
    assert "its regions in `DenseNet121` are `features.denseblock1`, " in result.stderr
    result = run("expand", "densenet", "--path", "Transition")
    assert "`features.transition1`, `features.transition2`" in result.stderr


@pytest.mark.parametrize(
    "text",
    ['"c%5d" % i', '"c{:>3}".format(i)', '"c" + str(xs["a"])', '"{}".format()', "i + 1", '"' * 3],
)
def test_what_is_no_text_with_holes_stays(text: str) -> None:
    assert interpolated(text) is None


@pytest.mark.parametrize("shape", ["3, 32, 32", "3, H, W", "3, 32 * h, 32 * w", "16"])
@pytest.mark.parametrize("comma", ["", ","])
def test_a_shape_in_parentheses_gets_brackets(shape: str, comma: str) -> None:
    text = f"net N()(x: [{shape}]) {{\n    return x -> relu\n}}\n"
    assert mended(text.replace("[", "(").replace("]", f"{comma})")) == text

"""What is said of text that is no spec, and where."""

from string import Formatter

import pytest
from parsed import expr, file

from archc.diagnostics import ArchError, Diagnostic, Source
from archc.syntax.habits.habit import Habit
from archc.syntax.habits.mistakes import RULES
from archc.syntax.parser import parse


def mistakes(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(ArchError) as caught:
        file(text)
    return caught.value.diagnostics


def marked(text: str) -> tuple[str, int, int]:
    """The text without its ⟪marks⟫, and the place between them."""
    start, end = text.index("⟪"), text.index("⟫") - 1
    return text.replace("⟪", "").replace("⟫", ""), start, end


IN_BODY = [
    # what other languages have
    ("a = 1⟪;⟫ b = 2", "E0120", "each statement on a line of its own"),
    ('a = ⟪{⟫"k": 1}', "E0121", "list"),
    ("f = ⟪lambda⟫ x: x", "E0122", "block"),
    ("⟪while⟫ a { b = 1 }", "E0123", "for i in range"),
    ("⟪def⟫ f(x) { a = 1 }", "E0124", "block Name"),
    ("⟪class⟫ F { a = 1 }", "E0124", "block Name"),
    ("a = ⟪0x1F⟫", "E0125", "`31`"),
    ("a = ⟪0b101⟫ + 1", "E0125", "`5`"),
    ("a = ⟪0o17⟫", "E0125", "`15`"),
    ("a = ⟪007⟫", "E0125", "`7`"),
    ("a = b ⟪&&⟫ c", "E0126", "`and`"),
    ("a = b ⟪||⟫ c", "E0126", "`or`"),
    ("a = ⟪!⟫b", "E0126", "`not`"),
    ("a = ⟪'text'⟫", "E0127", '"'),
    ("if a { b = 1 } ⟪elif⟫ c { b = 2 }", "E0128", "`else if`"),
    ("if a⟪:⟫", "E0129", "{ ... }"),
    ("for i in range(3)⟪:⟫", "E0129", "{ ... }"),
    ("if a { b = 1 } else⟪:⟫", "E0129", "{ ... }"),
    ("if a ⟪=⟫ 3 { b = 1 }", "E0130", "`==`"),
    ('assert a ⟪=⟫ 3, "m"', "E0130", "`==`"),
    ("a = conv(3, bias=⟪True⟫)", "E0131", "`true`"),
    ("a = ⟪False⟫", "E0131", "`false`"),
    ("a = ⟪None⟫", "E0166", "first value"),
    ("a = f(b=⟪None⟫)", "E0166", "the default of `b`"),
    ("a = [1, ⟪None⟫]", "E0166", "first value"),
    ("if a ⟪is None⟫ { b = 1 }", "E0166", "`false`"),
    ("if a ⟪is not None⟫ { b = 1 }", "E0166", "`false`"),
    ("if a == ⟪None⟫ { b = 1 }", "E0166", "`false`"),
    ("if not a ⟪is  not⟫ b { b = 1 }", "E0133", "`!=`"),
    ("a = [i for i in b if i ⟪is⟫ c]", "E0133", "`==`"),
    ("⟪is⟫ = 3", "E0133", ""),
    ("a = x ⟪|>⟫ f", "E0132", "`->`"),
    ("⟪class⟫ = 3", "E0124", ""),
    ("⟪yield⟫ = 3", "E0133", ""),
    ("a = b ⟪is⟫ c", "E0133", "`==`"),
    ("a = b ⟪&⟫ c", "E0134", ""),
    ("a ⟪-=⟫ 3", "E0110", "`a = a - ...`"),
    ("for (i ⟪=⟫ 0; i < 3; i += 1) { b = i }", "E0110", "for i in range"),
    ("for i, (a ⟪b⟫, c) in xs { d = a }", "E0110", ""),
    # brackets, strings, lines
    ("a = conv(3, 4⟪\n⟫b = 2", "E0112", "`)`"),
    ("a = [1, 2⟪\n⟫return a", "E0112", "`]`"),
    ("for i in range(3 ⟪{⟫ b = 1 }", "E0112", "`)`"),
    ("a = f(b⟪]⟫", "E0112", "`)`"),
    ("a = f(b)⟪)⟫", "E0113", ""),
    ('a = ⟪"text⟫', "E0114", "close it"),
    ("a = 1 ⟪b⟫ = 2", "E0115", "line of its own"),
    ("a = 1 ⟪return⟫ a", "E0115", "line of its own"),
    ("⟪return⟫", "E0116", "return x"),
    ("⟪return⟫\na = 1", "E0116", "one line"),
    ("if a { ⟪return⟫ }", "E0116", "return x"),
    ("⟪exit⟫", "E0116", "exit x"),
    ("@x_a(1) ⟪for⟫ i in x { }", "E0119", ""),
    # operators and pipes
    ("a = ⟪x + y⟫ -> relu", "E0140", "`(x + y) -> relu` or `x + (y -> relu)`"),
    ("a = ⟪-x⟫ -> relu", "E0140", "`(-x) -> relu` or `-(x -> relu)`"),
    ("a = ⟪[x] + ys⟫ -> concat", "E0140", "`([x] + ys) -> concat` or `[x] + (ys -> concat)`"),
    ("a = x -> ⟪relu + y⟫", "E0140", "`(x -> relu) + y` or `x -> (relu + y)`"),
    ("a = x -> ⟪f * y⟫ -> g", "E0140", "`(x -> f) * (y -> g)` or `x -> (f * y) -> g`"),
    ("a = ⟪x and y⟫ -> f", "E0140", "`(x and y) -> f` or `x and (y -> f)`"),
    ("a = x -> ⟪-f⟫", "E0140", "write `x -> (-f)`"),
    ("a = f(⟪x < y⟫ -> g)", "E0140", "`(x < y) -> g` or `x < (y -> g)`"),
    ("a = x -> ⟪stage1.conv1⟫: f", "E0401", "write `stage1_conv1`, or open `scope stage1"),
    ("exit ⟪s.early⟫: x -> f", "E0401", "write `s_early`, or open `scope s"),
    ("a = concat(⟪*⟫xs)", "E0158", "`concat` takes a list"),
    ("a = conv(⟪*⟫xs)", "E0158", "each argument"),
    ("a = concat(⟪*⟫xs, y)", "E0158", "each argument"),
    # targets
    ("⟪x -> relu⟫", "E0141", "bind it: `x = x -> ...`"),
    ("⟪x == 3⟫", "E0141", "`=`"),
    ("⟪f(x)⟫ = 3", "E0142", "xs[i] = v"),
    ("⟪x.channels⟫ = 3", "E0142", "immutable"),
    ("⟪xs[1:2]⟫ = ys", "E0142", "xs[:i]"),
    ("a, ⟪xs[0]⟫ = f", "E0142", "names"),
    ("⟪xs[0][1]⟫ = 3", "E0143", "row = xs[0]"),
    ("⟪xs[0]⟫ += 3", "E0144", "`xs[0] = xs[0] + ...`"),
    ("a = f(b=1, ⟪2⟫)", "E0147", ""),
    # names, numbers, strings
    ("a = ⟪1234567890123⟫", "E0150", ""),
    ("a = ⟪" + "9" * 4000 + "⟫", "E0150", ""),
    ("a = ⟪1e999⟫", "E0151", ""),
    ("a = ⟪0." + "1" * 40 + "⟫", "E0151", ""),
    ("⟪" + "a" * 65 + "⟫ = 1", "E0152", ""),
    ("a = ⟪naïve⟫", "E0153", ""),
    ("a = ⟪٣٢⟫", "E0153", ""),
    ("a = ⟪3x⟫", "E0154", ""),
    ("a = ⟪1__0⟫", "E0154", ""),
    ("a = b ⟪?⟫ c", "E0111", ""),
    (r'a = "b⟪\q⟫c"', "E0160", r"`\n`"),
    ('a = "b⟪{c⟫"', "E0161", "`{{`"),
    ('a = "{b[⟪"⟫k"]}"', "E0161", "name first"),
    ('a = "b⟪{ }⟫c"', "E0162", "`{{}}`"),
    ('a = "b⟪}⟫"', "E0163", "`}}`"),
    ('a = "{b⟪:03d⟫}"', "E0165", ""),
    ('a = "{⟪b + c⟫ -> f}"', "E0140", "`(b + c) -> f`"),
    ('a = "{b + ⟪}⟫"', "E0110", ""),
]


@pytest.mark.parametrize(("text", "code", "help"), IN_BODY, ids=[row[0][:40] for row in IN_BODY])
def test_a_mistake_in_a_body_is_named_at_its_place(text: str, code: str, help: str) -> None:
    source, start, end = marked("block B()(x) {\n" + text + "\n}\n")
    found = mistakes(source)
    assert [d.code for d in found] == [code]
    span = found[0].labels[0].span
    assert (span.start, span.end) == (start, end)
    assert help in (found[0].help or "")


AT_TOP = [
    ("net A(x)⟪ ⟫{\n return x\n}\n", "E0117", "(image: [3, 32, 32])"),
    ("net A⟪ ⟫{\n return x\n}\n", "E0117", "(image: [3, 32, 32])"),
    ("net A(image: ⟪[⟫3, 4]) {\n return x\n}\n", "E0117", "net Name()(image"),
    ("block A(k)(⟪)⟫ {\n return x\n}\n", "E0117", "(x)"),
    ("net A(image: ⟪[⟫3, 4], k=1) {\n return x\n}\n", "E0117", "net Name()(image"),
    ("net A()(image: [3], ⟪k=⟫1) {\n return x\n}\n", "E0118", "first parentheses"),
    ("⟪import blocks/dense⟫\n", "E0155", '`import "blocks/dense"`'),
    ("⟪from blocks.dense import Unit⟫\n", "E0155", '`import "blocks/dense"`'),
    ("⟪import torch.nn as nn⟫\n", "E0155", "remove this line"),
    ("net A()(⟪x⟫) {\n return x\n}\n", "E0118", "`x: [3, 32, 32]`"),
    ("@x_a\n⟪const⟫ a = 1\n", "E0119", ""),
    ("block A(k: ⟪itn⟫ = 3)(x) { return x }\n", "E0145", "`int`"),
    ("arch ⟪2⟫\n", "E0146", "`arch 1`"),
    ('import "a⟪{b}⟫"\n', "E0164", ""),
    ("import ⟪'a'⟫\n", "E0127", '"'),
    ("block B(k=⟪None⟫)(x) { return x }\n", "E0166", "`false`"),
    ("⟪def⟫ f(x):\n    return x\n", "E0124", "block Name"),
    ("⟪netz⟫ A()(x: [1]) { return x }\n", "E0110", "`net`"),
    ("⟪x⟫ = 3\n", "E0110", ""),
    ("⟪}⟫\n", "E0113", ""),
    ("block A()(x) {\n    y = 1⟪\n⟫\nblock B()(x) {\n    return x\n}\n", "E0112", "`}`"),
    ("block A()(x) {\n    return x", "E0112", "`}`"),
]


@pytest.mark.parametrize(("text", "code", "help"), AT_TOP, ids=[row[0][:30] for row in AT_TOP])
def test_a_mistake_in_a_declaration_is_named_at_its_place(text: str, code: str, help: str) -> None:
    source, start, end = marked(text if "⟪" in text else text + "⟪⟫")
    found = mistakes(source)
    assert [d.code for d in found] == [code]
    span = found[0].labels[0].span
    assert span.start == start
    assert span.end == end or start == len(source)
    assert help in (found[0].help or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = x ->", "expected a layer after `->`, found the end of the line"),
        ("a =", "expected a value after `=`, found the end of the line"),
        ("a = 3 +\nb = 2", "expected an expression after `+`, found the end of the line"),
        ("a = f(b c)", "expected `,` or `)`, found `c`"),
        ("for i xs { }", "expected `in`, found `xs`"),
        ("if a b = 1", "expected `{`, found `b`"),
        ("if { b = 1 }", "expected a condition after `if`, found `{`"),
        ("a = b if c", "expected `else`, found the end of the line"),
        ("assert a", "expected `,` and a message in quotes, found the end of the line"),
        ("a = [i forj in xs]", "expected `,` or `]`, found `forj`"),
        ("a = 1 2", "expected the end of the statement, found `2`"),
        ("else { }", "expected a statement, found `else`"),
        ("a = xs[1, 2]", "expected `]`, found `,`"),
        ("a = (b\n    c)", "expected `,` or `)`, found the end of the line"),
    ],
)
def test_expected_and_found_are_short(text: str, message: str) -> None:
    assert [d.message for d in mistakes("block B()(x) {\n" + text + "\n}\n")] == [message]


def test_an_open_bracket_is_shown_where_it_was_opened() -> None:
    (found,) = mistakes("block B()(x) {\n    a = conv(3, 4\n    return a\n}\n")
    assert found.message == "expected `)` to close the `(` at 2:13, found the end of the line"
    assert [label.span.text for label in found.labels] == ["\n", "("]


def test_all_independent_mistakes_are_reported_in_one_run() -> None:
    found = mistakes("""
        block A(a b)(x) {
            y = f(1
            z = 3 +
            if z = 4 {
                w = = 2
                return True
            } elif b {
                w = 1;
            }
            q = a + b -> relu
            for i in range(3 {
                s = 'x'
            }
            y = f(a,
                  b c,
                  d)
            return x
        }

        def foo(x):
            return x

        net B()(x) {
            return "{a b}"
        }
        const D =
        net E()(x: [1, 0x10]) { return x }
    """)
    lines = [(d.code, d.labels[0].span.line) for d in found]
    assert lines == [
        ("E0110", 2), ("E0112", 3), ("E0110", 4), ("E0130", 5), ("E0110", 6), ("E0131", 7),
        ("E0128", 8), ("E0120", 9), ("E0140", 11), ("E0112", 12), ("E0127", 13), ("E0110", 16),
        ("E0124", 21), ("E0118", 24), ("E0110", 25), ("E0110", 27), ("E0125", 28),
    ]  # fmt: skip


def test_at_most_twenty_mistakes_are_reported() -> None:
    assert len(mistakes("block B()(x) {\n" + "y = = 1\n" * 50 + "}\n")) == 20


def test_the_first_mistake_of_an_expression_is_reported() -> None:
    with pytest.raises(ArchError) as caught:
        expr("1 + + ")
    assert caught.value.diagnostics[0].labels[0].span.source.text == "1 + + "


# ------------------------------------------------------------------ limits


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("y = " + "(" * 64 + "1" + ")" * 64, None),
        ("y = " + "(" * 65 + "1" + ")" * 65, "E0108"),
        ("y = " + "[" * 4000, "E0108"),
        ("if a {\n" * 63 + "y = 1\n" + "}\n" * 63, None),
        ("if a {\n" * 64 + "y = 1\n" + "}\n" * 64, "E0108"),
        ("y = " + "-" * 190 + "1", None),
        ("y = " + "-" * 200 + "1", "E0109"),
        ("y = " + "not " * 250 + "1", "E0109"),
        ("y = f" + "()" * 250, "E0109"),
        ("y = " + "1 ** " * 250 + "1", "E0109"),
        ("y = " + "1 if a else " * 250 + "1", "E0109"),
        ("y = f\n" + "-> g\n" * 5000, None),
        ("if a { }\n" + "else if b { }\n" * 5000, None),
        ("y = 1\n" * 34_000, "E0107"),
    ],
)
def test_what_is_too_much_is_refused_at_its_place(text: str, code: str | None) -> None:
    text = "block B()(x) {\n" + text + "\n}\n"
    if code is None:
        parse(Source("", text))
        return
    with pytest.raises(ArchError) as caught:
        parse(Source("", text))
    assert [d.code for d in caught.value.diagnostics] == [code]
    assert caught.value.diagnostics[0].labels[0].span.line > 1


HABITS = [rule for rule in RULES if isinstance(rule, Habit)]


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: f"{habit.code} {habit.pattern}")
def test_a_habit_names_only_what_its_pattern_finds(habit: Habit) -> None:
    further = {"refused", "token", "found", "previous", "indent", "new"}
    texts = [habit.message, habit.help or "", habit.write if isinstance(habit.write, str) else ""]
    named = {name for text in texts for _, name, _, _ in Formatter().parse(text) if name}
    assert named <= {*habit.regex.groupindex, *further, "at"}

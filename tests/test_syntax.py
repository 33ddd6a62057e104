"""The language as written: text -> AST, and what is said of text that is no spec."""

import dataclasses
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.diagnostics import ArchError, Diagnostic, Source
from archc.resources import grammar_file, library_root
from archc.syntax import ast, messages, table
from archc.syntax.parser import parse, parse_expression
from archc.syntax.source import read_source, source_from_text


def file(text: str) -> ast.File:
    return parse(source_from_text(textwrap.dedent(text), "spec.arch"))


def body(text: str) -> tuple[ast.Statement, ...]:
    block = file("block B()(x) {\n" + textwrap.dedent(text) + "\n}\n").declarations[0]
    assert isinstance(block, ast.Block)
    return block.body


def expr(text: str) -> ast.Expr:
    return parse_expression(Source("", text))


def show(node: object) -> str:
    """A node as nested lists: class, then fields, without spans."""
    if isinstance(node, ast.Name):
        return node.name
    if isinstance(node, ast.Number | ast.Bool):
        return repr(node.value)
    if isinstance(node, tuple):
        return "[" + " ".join(map(show, node)) + "]"
    if not isinstance(node, ast.Syntax):
        return str(node)
    fields = [getattr(node, f.name) for f in dataclasses.fields(node) if f.name != "span"]
    return f"({' '.join([type(node).__name__, *map(show, fields)])})"


def mistakes(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(ArchError) as caught:
        file(text)
    return caught.value.diagnostics


def marked(text: str) -> tuple[str, int, int]:
    """The text without its ⟪marks⟫, and the place between them."""
    start, end = text.index("⟪"), text.index("⟫") - 1
    return text.replace("⟪", "").replace("⟫", ""), start, end


# ------------------------------------------------------------- expressions


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b * c", "(Arithmetic a [[+ (Arithmetic b [[* c]])]])"),
        ("a - b + c", "(Arithmetic a [[- b] [+ c]])"),
        ("a * b // c % d / e", "(Arithmetic a [[* b] [// c] [% d] [/ e]])"),
        ("-a ** -b", "(Unary - (Arithmetic a [[** (Unary - b)]]))"),
        ("a ** b ** c", "(Arithmetic a [[** (Arithmetic b [[** c]])]])"),
        ("- -a", "(Unary - (Unary - a))"),
        ("a < b <= c", "(Compare a [[< b] [<= c]])"),
        ("a not in b", "(Compare a [[not in b]])"),
        ("a in b == c", "(Compare a [[in b] [== c]])"),
        ("not a in b", "(Unary not (Compare a [[in b]]))"),
        ("a or b and not c or d", "(Logical or [a (Logical and [b (Unary not c)]) d])"),
        ("a if b else c if d else e", "(Choice a b (Choice c d e))"),
        ("(a)", "(Paren a)"),
        ("(a, b)", "(Tuple [a b])"),
        ("(a,)", "(Tuple [a])"),
        ("[]", "(List [])"),
        ("[a, b,]", "(List [a b])"),
        ("[i for i in xs]", "(Comprehension i [i] xs None)"),
        ("[a + b for a, b in xs if a < b]",
         "(Comprehension (Arithmetic a [[+ b]]) [a b] xs (Compare a [[< b]]))"),
        ("f()", "(Call f [])"),
        ("f(a, k=3,)(x)",
         "(Call (Call f [(Argument None a) (Argument k 3)]) [(Argument None x)])"),
        ("x.channels", "(Attribute x channels)"),
        ("xs[-1]", "(Index xs (Unary - 1))"),
        ("xs[:]", "(Slice xs None None None)"),
        ("xs[1:]", "(Slice xs 1 None None)"),
        ("xs[:n:2]", "(Slice xs None n 2)"),
        ("xs[::-1]", "(Slice xs None None (Unary - 1))"),
        ("true", "True"),
        ("x -> f -> g", "(Pipe x [(Stage None f) (Stage None g)])"),
        ("x -> a: f(1)", "(Pipe x [(Stage a (Call f [(Argument None 1)]))])"),
        ('x -> "a{i}": f', "(Pipe x [(Stage (String [a i]) f)])"),
        ("(a, b) -> f", "(Pipe (Tuple [a b]) [(Stage None f)])"),
        ("x -> f if c else y", "(Choice (Pipe x [(Stage None f)]) c y)"),
        ("[x -> f]", "(List [(Pipe x [(Stage None f)])])"),
        ("x -> (f + g)", "(Pipe x [(Stage None (Paren (Arithmetic f [[+ g]])))])"),
    ],
)  # fmt: skip
def test_expressions_read_as_in_python_and_pipes_bind_loosest_but_for_if(
    text: str, tree: str
) -> None:
    assert show(expr(text)) == tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("1_000", 1000), ("0", 0), ("000", 0), ("0.5", 0.5), ("1.", 1.0), (".5", 0.5),
        ("1e-3", 0.001), ("1.e5", 1e5), ("2E3", 2000.0), ("999999999999", 999999999999),
    ],
)  # fmt: skip
def test_numbers(text: str, value: float) -> None:
    number = expr(text)
    assert isinstance(number, ast.Number)
    assert (number.value, type(number.value)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('""', ()),
        (r'"a\n\t\"\\\'"', ("a\n\t\"\\'",)),
        ('"{{a}}"', ("{a}",)),
        ('"s{i}"', ("s", "i")),
        ('"{i}{j + 1}x"', ("i", "(Arithmetic j [[+ 1]])", "x")),
        ('"é → #"', ("é → #",)),
    ],
)
def test_strings_have_escapes_and_holes(text: str, parts: tuple[str, ...]) -> None:
    string = expr(text)
    assert isinstance(string, ast.String)
    assert tuple(part if isinstance(part, str) else show(part) for part in string.parts) == parts


def test_long_chains_are_flat() -> None:
    total = expr(" + ".join(["a"] * 1000))
    assert isinstance(total, ast.Arithmetic)
    assert len(total.rest) == 999


def test_contextual_words_are_names_inside_bodies() -> None:
    first, second = body("block = arch\nnet = layer + block")
    assert show(first) == "(Assign [block] arch [])"
    assert show(second) == "(Assign [net] (Arithmetic layer [[+ block]]) [])"


# -------------------------------------------------------------- statements


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a = 1", "(Assign [a] 1 [])"),
        ("a, b = f", "(Assign [a b] f [])"),
        ("(a, b) = f", "(Assign [a b] f [])"),
        ("a = 1, 2", "(Assign [a] (Tuple [1 2]) [])"),
        ("a += [1]", "(Update a (List [1]))"),
        ("xs[i] = v", "(AssignItem xs i v)"),
        ("@a(p=1) @b\nx, y = f",
         "(Assign [x y] f [(Annotation a [(Argument p 1)]) (Annotation b [])])"),
        ("for i in range(3) { }", "(For [i] (Call range [(Argument None 3)]) [])"),
        ("for a, b in xs { return a }", "(For [a b] xs [(Return a)])"),
        ("if a { return 1 }", "(If [[a [(Return 1)]]] [])"),
        ("if a { }\nelse if b { }\nelse { return 2 }", "(If [[a []] [b []]] [(Return 2)])"),
        ("scope features { return x }", "(Scope features [(Return x)])"),
        ('scope "s{i}" { }', "(Scope (String [s i]) [])"),
        ("return a, b", "(Return (Tuple [a b]))"),
        ("exit x -> f", "(Exit None (Pipe x [(Stage None f)]))"),
        ("exit early: x", "(Exit early x)"),
        ('assert a == 1, "m{a}"', "(Assert (Compare a [[== 1]]) (String [m a]))"),
    ],
)  # fmt: skip
def test_statements(text: str, tree: str) -> None:
    (statement,) = body(text)
    assert show(statement) == tree


def test_a_line_break_ends_a_statement_only_where_one_can_end() -> None:
    statements = body("""
        a = f(1,  # a comment

              2)
        b = x
          # a comment
          -> g
          -> h
        c = a +
            b


        if a
        { d = 1 }
        else
        { d = 2 }
    """)
    assert [type(s).__name__ for s in statements] == ["Assign", "Assign", "Assign", "If"]


# ------------------------------------------------------------ declarations


def test_a_file_of_everything() -> None:
    tree = file("""
        arch 1
        import "blocks/dense"
        const sizes = [1, 2]
        extern layer CBAM(r: int = 16): [C, *S], [C] -> [2 * C, *S] from "pkg.mod:CBAM"

        @init("torchvision")
        block B(a, b=1, c: list = [])(x, y: [C, H, W]) { return x }
        @x_one @x_two net N()(image: [3, 32*h, 32*w]) { return image }
        net M = N(a=1)
    """)
    assert tree.version == 1
    assert [show(d) for d in tree.declarations] == [
        "(Import blocks/dense)",
        "(Const sizes (List [1 2]))",
        (
            "(ExternLayer CBAM [(Parameter r int 16 )] [(Shape [C (Rest S)]) (Shape [C])] "
            "(Shape [(Arithmetic 2 [[* C]]) (Rest S)]) pkg.mod:CBAM)"
        ),
        (
            "(Block B [(Parameter a None None ) (Parameter b None 1 ) "
            "(Parameter c list (List []) )] [(Input x None) (Input y (Shape [C H W]))] "
            "[(Return x)] [(Annotation init [(Argument None (String [torchvision]))])]  False)"
        ),
        (
            "(Block N [] [(Input image (Shape [3 (Arithmetic 32 [[* h]]) "
            "(Arithmetic 32 [[* w]])]))] [(Return image)] "
            "[(Annotation x_one []) (Annotation x_two [])]  True)"
        ),
        "(Variant M N [(Argument a 1)] [] )",
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "arch 1", "arch 1\n"])
def test_a_file_may_be_empty(text: str) -> None:
    assert file(text).declarations == ()


def test_doc_comments_belong_to_what_follows_them_directly() -> None:
    block, other, net = file(
        """
        ## A layer.
        ##   Indented.
        @x_a
        block A(
            ## How wide.
            ## In channels.
            width,  ## not this
            depth)(x) { return x }

        ## Lost, for an empty line follows.

        # A comment.
        block B()(x) { return x }
        #### A ruler.
        ## A variant.
        net C = A(3)
    """.replace("@x_a", "## Above the annotation.\n        @x_a")
    ).declarations
    assert isinstance(block, ast.Block)
    assert isinstance(other, ast.Block)
    assert isinstance(net, ast.Variant)
    assert block.doc == "A layer.\n  Indented.\nAbove the annotation."
    assert [p.doc for p in block.parameters] == ["How wide.\nIn channels.", ""]
    assert other.doc == ""
    assert net.doc == "A variant."


def nodes(node: object) -> Iterator[ast.Syntax]:
    todo = [node]
    while todo:
        node = todo.pop()
        if isinstance(node, tuple):
            todo += node
        elif isinstance(node, ast.Syntax):
            yield node
            todo += [getattr(node, f.name) for f in dataclasses.fields(node) if f.name != "span"]


def test_every_node_knows_its_text() -> None:
    tree = file("""
        block B(width: int = 3)(x) {
            y = x -> "n{width + 1}": conv(width, k=[1, 2][0]) -> bn  # a comment
            if width > 2 { y += (x, 1) }
            return y if not x else xs[1:2].shape
        }
    """)
    texts = {(type(n).__name__, n.span.text) for n in nodes(tree)}
    assert {
        ("Parameter", "width: int = 3"), ("Name", "width"), ("Arithmetic", "width + 1"),
        ("String", '"n{width + 1}"'), ("Stage", '"n{width + 1}": conv(width, k=[1, 2][0])'),
        ("Argument", "k=[1, 2][0]"), ("Index", "[1, 2][0]"), ("Compare", "width > 2"),
        ("Pipe", 'x -> "n{width + 1}": conv(width, k=[1, 2][0]) -> bn'), ("Tuple", "(x, 1)"),
        ("If", "if width > 2 { y += (x, 1) }"), ("Slice", "xs[1:2]"), ("Stage", "bn"),
        ("Return", "return y if not x else xs[1:2].shape"), ("Attribute", "xs[1:2].shape"),
        ("Update", "y += (x, 1)"), ("Unary", "not x"),
    } <= texts  # fmt: skip


# ---------------------------------------------------------------- mistakes

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
    ("a = ⟪None⟫", "E0131", ""),
    ("a = x ⟪|>⟫ f", "E0132", "`->`"),
    ("⟪class⟫ = 3", "E0124", ""),
    ("⟪yield⟫ = 3", "E0133", ""),
    ("a = b ⟪is⟫ c", "E0133", "`==`"),
    ("a = b ⟪&⟫ c", "E0134", ""),
    ("a ⟪-=⟫ 3", "E0110", "`a = a - ...`"),
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
    # targets
    ("⟪x -> relu⟫", "E0141", "return it"),
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
    ("net A()(⟪x⟫) {\n return x\n}\n", "E0118", "`x: [3, 32, 32]`"),
    ("@x_a\n⟪const⟫ a = 1\n", "E0119", ""),
    ("block A(k: ⟪itn⟫ = 3)(x) { return x }\n", "E0145", "`int`"),
    ("arch ⟪2⟫\n", "E0146", "`arch 1`"),
    ('import "a⟪{b}⟫"\n', "E0164", ""),
    ("import ⟪'a'⟫\n", "E0127", '"'),
    ("⟪def⟫ f(x):\n    return x\n", "E0124", "block Name"),
    ("⟪netz⟫ A()(x: [1]) { return x }\n", "E0110", "`net`"),
    ("⟪x⟫ = 3\n", "E0110", ""),
    ("⟪}⟫\n", "E0113", ""),
    ("block A()(x) {\n    y = 1\n\n⟪block⟫ B()(x) {\n    return x\n}\n", "E0112", "`}`"),
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


# ------------------------------------------------------------------- files


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


# -------------------------------------------------------- grammar and table


def test_the_grammar_has_no_conflicts() -> None:
    pytest.importorskip("interegular", reason="strict mode compares regular expressions with it")
    table.build(grammar_file().read_text(encoding="utf-8"), strict=True)


def test_every_terminal_has_a_word() -> None:
    terminals = {terminal.name for terminal in table.load().terminals}
    assert terminals <= messages.WORDS.keys()


def test_codes_in_use_and_codes_listed_are_the_same() -> None:
    folder = Path(table.__file__).parent
    texts = {p.name: p.read_text(encoding="utf-8") for p in folder.glob("*.py")}
    words = texts["messages.py"].split('"""Code -> the kind of mistake, as a title."""')[1]
    used = "".join(text for name, text in texts.items() if name != "messages.py") + words
    assert set(re.findall(r'"(E\d{4})"', used)) == set(messages.CODES)


def test_a_table_is_used_only_with_its_grammar(tmp_path: Path) -> None:
    path = tmp_path / "arch.table"
    table.write(path)
    grammar = grammar_file().read_text(encoding="utf-8")
    loaded = table._from_table(grammar, path)
    assert loaded is not None
    assert loaded.parse("arch 1", start="file") == table.build(grammar).parse(
        "arch 1", start="file"
    )
    assert table._from_table(grammar + "\n// changed\n", path) is None


def test_a_damaged_or_hostile_table_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "arch.table"
    grammar = grammar_file().read_text(encoding="utf-8")
    for content in (b"garbage", b"cos\nsystem\n(S'exit 1'\ntR."):
        path.write_bytes(table._key(grammar) + b"\n" + content)
        assert table._from_table(grammar, path) is None


def test_the_library_stands_beside_the_grammar_in_a_checkout() -> None:
    assert library_root().name == "specs"
    assert grammar_file().is_file()


def test_the_parser_needs_neither_torch_nor_networkx() -> None:
    code = (
        "import sys, archc.syntax.parser as p, archc.syntax.source as s;"
        "p.parse(s.source_from_text('arch 1'));"
        "sys.exit(bool({'torch', 'networkx', 'jinja2'} & sys.modules.keys()))"
    )
    root = Path(__file__).parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


# --------------------------------------------------------------- any text

WORDS = [*messages.WORDS.values(), *messages.FOREIGN]
PIECES = [re.sub(r"[` ]", "", w) for w in WORDS if w[0] == "`" and " or " not in w] + [
    "x", "f", "1", "2.5", '"s{i}"', '"', "\n", "\n", " ", "  ", "# c\n", "## d\n", "'", ";", "==",
    "{", "}", "(", ")", "[", "]", "->", "net N()(x: [1]) {", "block B()(x) {", "é", "\\", "=", ",",
]  # fmt: skip

soups = st.lists(st.sampled_from(PIECES), max_size=60).map(" ".join)

SPEC = """\
arch 1
import "blocks/dense"
## A block.
@init("x")
block B(n: int = 3, k=[1, 2])(x, y) {
    for i in range(n) { x = x -> "l{i + 1}": conv(k[0], 3) -> bn }
    if n > 2 and x.channels in k { y += [x] } else if n == 1 { return x } else { y = -x }
    assert n != 4, "no"
    scope s { exit early: (x + y) -> f }
    return x if n else y, [a for a, b in y[1:] if a]
}
net N = B(n=4)
"""


def check_any(text: str) -> None:
    """A file, or diagnostics that can be drawn; nothing else."""
    tree, problem = None, None
    try:
        tree = parse(source_from_text(text, "any.arch"))
    except ArchError as error:
        problem = error
    if problem is None:
        assert isinstance(tree, ast.File)
        return
    assert 1 <= len(problem.diagnostics) <= 20
    assert str(problem)
    assert all(d.code in messages.CODES for d in problem.diagnostics)


@settings(max_examples=150, deadline=None)
@given(st.text())
def test_any_text_gives_a_file_or_diagnostics(text: str) -> None:
    check_any(text)


@settings(max_examples=400, deadline=None)
@given(soups)
def test_any_words_give_a_file_or_diagnostics(text: str) -> None:
    check_any(text)
    check_any("block B()(x) {\n" + text + "\n}\n")


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SPEC)), st.integers(0, 30), st.sampled_from(["", *PIECES]))
def test_any_edit_of_a_spec_gives_a_file_or_diagnostics(at: int, cut: int, put: str) -> None:
    check_any(SPEC[:at] + put + SPEC[at + cut :])


def test_the_edited_spec_is_sound() -> None:
    assert len(file(SPEC).declarations) == 3

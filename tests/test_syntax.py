"""The language as written: text -> AST."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from parsed import body, expr, file

from archc.resources import grammar_file, library_root
from archc.syntax import ast, messages, table


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


@pytest.mark.parametrize("word", ["block", "net", "const", "extern", "layer", "arch"])
def test_a_word_that_opens_a_declaration_may_be_a_label_on_a_line_of_its_own(word: str) -> None:
    (statement,) = body(f"y = x ->\n    {word}: f")
    assert show(statement) == f"(Assign [y] (Pipe x [(Stage {word} f)]) [])"


# ------------------------------------------------------------ declarations


def test_a_file_of_everything() -> None:
    tree = file("""
        arch 1
        import "blocks/dense"
        const sizes = [1, 2]
        extern layer CBAM(r: int = 16): ([C, *S], [C]) -> [2 * C, *S] from "pkg.mod:CBAM"(C, r=r)

        @init("torchvision")
        block B(a, b=1, c: list = [])(x, y: [C, H, W], *zs) { return x }
        @x_one @x_two net N()(image: [3, 32*h, 32*w]) { return image }
        net M = N(a=1)
    """)
    assert tree.version == 1
    assert [show(d) for d in tree.declarations] == [
        "(Import blocks/dense)",
        "(Const sizes (List [1 2]))",
        (
            "(ExternLayer CBAM [(Parameter r int 16 )] [(Shape [C (Rest S)]) (Shape [C])] "
            "[(Shape [(Arithmetic 2 [[* C]]) (Rest S)])] pkg.mod:CBAM "
            "[(Argument None C) (Argument r r)] [])"
        ),
        (
            "(Block B [(Parameter a None None ) (Parameter b None 1 ) "
            "(Parameter c list (List []) )] [(Input x None False) "
            "(Input y (Shape [C H W]) False) (Input zs None True)] "
            "[(Return x)] [(Annotation init [(Argument None (String [torchvision]))])]  False)"
        ),
        (
            "(Block N [] [(Input image (Shape [3 (Arithmetic 32 [[* h]]) "
            "(Arithmetic 32 [[* w]])]) False)] [(Return image)] "
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


# -------------------------------------------------------- grammar and table


def test_the_grammar_has_no_conflicts() -> None:
    pytest.importorskip("interegular", reason="strict mode compares regular expressions with it")
    table.build(grammar_file().read_text(encoding="utf-8"), strict=True)


def test_every_terminal_has_a_word() -> None:
    terminals = {terminal.name for terminal in table.load().terminals}
    assert terminals <= messages.WORDS.keys()


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

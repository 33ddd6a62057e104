"""lark tree -> AST, without recursion, and the checks that need the meaning of a construct.

A rule of the grammar is a node (`_DIRECT`) or a method `_rule`, which gets the span of its text
and its children, already built. Mistakes go to `errors`; a file that has some is never used.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from lark import Token, Tree

from archc.diagnostics import Diagnostic, Label, Source, Span, nearest
from archc.syntax import ast, checks
from archc.syntax.doc import doc_comment
from archc.syntax.edits import replaced
from archc.syntax.literals import Hole, number, pieces
from archc.syntax.target import wrong_target

MAX_DEPTH = 200
KINDS = ("int", "float", "bool", "string", "list")
VERSION = 1

_OF_STATEMENTS = """
    bare assign annotated update for if scope return exit assert const block net variant
"""
_STATEMENTS = frozenset(_OF_STATEMENTS.split())
_OF_PARTS = "body stage label arguments positional named slice comparator bare_tuple"
_HELPERS = frozenset(_OF_PARTS.split())

_DIRECT: dict[str, Callable[..., ast.Syntax]] = {
    "assert": ast.Assert,
    "attribute": ast.Attribute,
    "call": ast.Call,
    "choice": ast.Choice,
    "comprehension": ast.Comprehension,
    "exit": ast.Exit,
    "for": ast.For,
    "index": ast.Index,
    "name": ast.Name,
    "named": ast.Argument,
    "paren": ast.Paren,
    "rest": ast.Rest,
    "return": ast.Return,
    "scope": ast.Scope,
    "stage": ast.Stage,
    "unary": ast.Unary,
}
"""Rules whose parts are the fields of a node, in order."""

_LISTS: dict[str, Callable[..., ast.Syntax]] = {
    "bare_tuple": ast.Tuple,
    "list": ast.List,
    "shape": ast.Shape,
}
"""Rules whose parts are the only field of a node."""

Child = Any
"""A child, built: a node, a token, a tuple of nodes, or None where an optional one is left out."""

T = TypeVar("T")
U = TypeVar("U")


class TreeBuilder:
    """Builds the AST of one source. `hole` parses the expression in a string."""

    def __init__(self, source: Source, hole: Callable[[int, int], Tree[Token] | None]) -> None:
        self.source = source
        self.parse_hole = hole
        self.errors: list[Diagnostic] = []
        self.documented = "##" in source.text

    # ------------------------------------------------------------ the walk

    def build(self, tree: Tree[Token]) -> Child:
        """The AST of a tree: it is laid out parents first, then built from the end.

        The result is to be used only if there are no errors.
        """
        order: list[Child] = []
        todo: list[tuple[Child, int]] = [(tree, 0)]
        too_deep: Tree[Token] | None = None
        while todo:
            node, depth = todo.pop()
            order.append(node)
            if not isinstance(node, Tree):
                continue
            if node.data in _STATEMENTS:
                depth = 0
            elif node.data not in _HELPERS:
                depth += 1
            if depth > MAX_DEPTH:
                too_deep = too_deep or node
            todo += [(child, depth) for child in node.children]
        if too_deep is not None:
            message = f"expressions nest at most {MAX_DEPTH} deep"
            self._error("E0109", message, self._span(too_deep))
        return self._from_leaves(order)

    def _from_leaves(self, order: list[Child]) -> Child:
        built: list[Child] = []
        for node in reversed(order):
            if not isinstance(node, Tree):
                built.append(node)
                continue
            first = len(built) - len(node.children)
            parts = built[first:]
            del built[first:]
            built.append(self._node(node.data, self._span(node), parts))
        return built[0]

    def _node(self, rule: str, span: Span, parts: list[Child]) -> Child:
        if rule in _DIRECT:
            fields = (str(part) if isinstance(part, Token) else part for part in parts)
            return _DIRECT[rule](span, *fields)
        if rule in _LISTS:
            return _LISTS[rule](span, tuple(parts))
        return getattr(self, f"_{rule}")(span, *parts)

    def _span(self, node: Tree[Token] | Token) -> Span:
        place = node if isinstance(node, Token) else node.meta
        return Span(
            self.source, getattr(place, "start_pos", 0) or 0, getattr(place, "end_pos", 0) or 0
        )

    def _error(
        self, code: str, message: str, span: Span, help: str | None = None, mend: str | None = None
    ) -> None:
        """Note an error; `mend` is what to write instead of the span."""
        fix = () if mend is None else replaced(span, mend)
        self.errors.append(Diagnostic(code, message, (Label(span),), help=help, fix=fix))

    def _sound(self, result: T | Diagnostic, otherwise: U) -> T | U:
        if not isinstance(result, Diagnostic):
            return result
        self.errors.append(result)
        return otherwise

    def _identifier(self, token: Token) -> ast.Name:
        return ast.Name(self._span(token), str(token))

    def _doc(self, span: Span) -> str:
        return doc_comment(self.source, span.start) if self.documented else ""

    # -------------------------------------------------------- declarations

    def _file(self, span: Span, *parts: Child) -> ast.File:
        version = parts[0] if parts and isinstance(parts[0], int) else None
        declarations = parts if version is None else parts[1:]
        return ast.File(Span(self.source, 0, len(self.source.text)), version, declarations)

    def _version(self, span: Span, token: Token) -> int:
        if token != str(VERSION):
            message = f"this archc knows version {VERSION} of the language"
            self._error(
                "E0146", message, self._span(token), f"write `arch {VERSION}`", str(VERSION)
            )
        return VERSION

    def _import(self, span: Span, path: Token) -> ast.Import:
        return ast.Import(span, self._plain(path))

    def _const(self, span: Span, name: Token, value: ast.Expr) -> ast.Const:
        return ast.Const(span, self._identifier(name), value)

    def _extern(self, span: Span, *parts: Child) -> ast.ExternLayer:
        annotations = _annotations(parts)
        name, parameters, inputs, outputs, target, arguments = parts[len(annotations) :]
        known = len(self.errors)
        path = self._plain(target)
        problem = wrong_target(path, self._span(target))
        if problem is not None and len(self.errors) == known:
            self.errors.append(problem)
        return ast.ExternLayer(
            span,
            self._identifier(name),
            parameters,
            inputs,
            outputs,
            path,
            arguments,
            annotations,
        )

    def _block(self, span: Span, *parts: Child, is_net: bool = False) -> ast.Block:
        annotations = _annotations(parts)
        name, parameters, inputs, body = parts[len(annotations) :]
        for given in inputs[:-1]:
            if given.several:
                message = f"`*{given.name.name}` takes all tensors that are left"
                self._error("E0148", message, given.span, "let it be the last one")
        doc = self._doc(span)
        return ast.Block(
            span, self._identifier(name), parameters, inputs, body, annotations, doc, is_net
        )

    def _net(self, span: Span, *parts: Child) -> ast.Block:
        block = self._block(span, *parts, is_net=True)
        for given in block.inputs:
            if given.shape is None:
                help = f"write `{given.name.name}: [3, 32, 32]`"
                self._error("E0118", "a net's input needs a shape", given.span, help)
        return block

    def _variant(self, span: Span, *parts: Child) -> ast.Variant:
        annotations = _annotations(parts)
        name, base, arguments = parts[len(annotations) :]
        name, base = self._identifier(name), self._identifier(base)
        return ast.Variant(span, name, base, arguments, annotations, self._doc(span))

    def _annotation(self, span: Span, name: Token, arguments: Child) -> ast.Annotation:
        return ast.Annotation(span, str(name), arguments or ())

    def _parameter(
        self, span: Span, name: Token, kind: Token | None, default: Child
    ) -> ast.Parameter:
        if kind is not None and kind not in KINDS:
            near = nearest(kind, KINDS)
            help = (
                f"did you mean `{near}`?"
                if near
                else f"the kinds are {', '.join(KINDS)}; leave out others"
            )
            self._error("E0145", f"there is no kind `{kind}`", self._span(kind), help, near)
        kind_name = None if kind is None else str(kind)
        return ast.Parameter(span, self._identifier(name), kind_name, default, self._doc(span))

    def _input(self, span: Span, name: Token, shape: ast.Shape | None) -> ast.Input:
        return ast.Input(span, self._identifier(name), shape)

    def _others(self, span: Span, name: Token) -> ast.Input:
        return ast.Input(span, self._identifier(name), None, several=True)

    def _several(self, span: Span, *parts: Child) -> tuple[Child, ...]:
        return parts

    _parameters = _inputs = _shapes = _body = _slice = _several

    # ---------------------------------------------------------- statements

    def _bare(self, span: Span, value: ast.Expr) -> ast.Assign:
        self.errors.append(checks.lost_result(value))
        return ast.Assign(span, (), value, ())

    def _assign(self, span: Span, target: ast.Expr, value: ast.Expr) -> ast.Statement:
        return self._statement(checks.assignment(span, target, value), value)

    def _annotated(self, span: Span, *parts: Child) -> ast.Assign:
        *annotations, names, value = parts
        return ast.Assign(span, names, value, tuple(annotations))

    def _update(self, span: Span, target: ast.Expr, value: ast.Expr) -> ast.Statement:
        return self._statement(checks.update(span, target, value), value)

    def _statement(self, built: ast.Statement | Diagnostic, value: ast.Expr) -> ast.Statement:
        if not isinstance(built, Diagnostic):
            return built
        self.errors.append(built)
        return ast.Assign(value.span, (), value, ())

    def _names(self, span: Span, *names: Token) -> tuple[ast.Name, ...]:
        return tuple(map(self._identifier, names))

    def _targets(self, _: Span, *targets: Token | ast.Target) -> tuple[ast.Target, ...]:
        return tuple(self._identifier(t) if isinstance(t, Token) else t for t in targets)

    def _nested(self, span: Span, *targets: Token | ast.Target) -> ast.Target:
        inner = self._targets(span, *targets)
        return inner[0] if len(inner) == 1 else ast.TupleTarget(span, inner)

    def _if(self, span: Span, *parts: Child) -> ast.If:
        pairs = len(parts) // 2
        branches = tuple((parts[2 * i], parts[2 * i + 1]) for i in range(pairs))
        return ast.If(span, branches, parts[-1] if len(parts) % 2 else ())

    # --------------------------------------------------------- expressions

    def _flow(self, span: Span, head: ast.Expr, *stages: Child) -> ast.Pipe:
        pipe = ast.Pipe(span, head, stages)
        self._sound(checks.mixed_pipe(pipe), None)
        return pipe

    def _label(self, span: Span, token: Token) -> ast.Name | ast.String:
        return self._identifier(token) if token.type == "NAME" else self._string(span, token)

    def _any_of(self, span: Span, *operands: ast.Expr) -> ast.Logical:
        return ast.Logical(span, "or", operands)

    def _all_of(self, span: Span, *operands: ast.Expr) -> ast.Logical:
        return ast.Logical(span, "and", operands)

    def _compare(self, span: Span, *parts: Child) -> ast.Compare:
        return ast.Compare(span, parts[0], _pairs(parts))

    def _comparator(self, span: Span, *words: Token) -> str:
        return " ".join(words)

    def _arithmetic(self, span: Span, *parts: Child) -> ast.Arithmetic:
        return ast.Arithmetic(span, parts[0], _pairs(parts))

    def _arguments(self, span: Span, *arguments: ast.Argument) -> tuple[ast.Argument, ...]:
        self._sound(checks.positional_after_named(arguments), None)
        return arguments

    def _positional(self, span: Span, value: ast.Expr) -> ast.Argument:
        return ast.Argument(span, None, value)

    def _cut(self, span: Span, value: ast.Expr, bounds: Child) -> ast.Slice:
        return ast.Slice(span, value, *bounds)

    def _number(self, span: Span, token: Token) -> ast.Number:
        return ast.Number(span, self._sound(number(span), 0))

    def _string(self, span: Span, token: Token) -> ast.String:
        parts: list[Child] = []
        for piece in pieces(self.source, span.start, span.end):
            if isinstance(piece, Diagnostic):
                self.errors.append(piece)
            elif isinstance(piece, Hole):
                tree = self.parse_hole(piece.start, piece.end)
                parts += [] if tree is None else [self.build(tree)]
            elif parts and isinstance(parts[-1], str):
                parts[-1] += piece
            else:
                parts.append(piece)
        return ast.String(span, tuple(parts))

    def _plain(self, token: Token) -> str:
        """The text of a string that takes no holes: the path of an import or of a module."""
        span = self._span(token)
        text = ""
        for piece in pieces(self.source, span.start, span.end) if token else ():
            if isinstance(piece, Hole):
                place = Span(self.source, piece.start - 1, piece.end + 1)
                self._error("E0164", "this string takes no holes", place)
            else:
                text += self._sound(piece, "")
        return text

    def _bool(self, span: Span, token: Token) -> ast.Bool:
        return ast.Bool(span, token.type == "TRUE")

    def _tuple(self, span: Span, inner: ast.Tuple) -> ast.Tuple:
        return ast.Tuple(span, inner.items)


def _annotations(parts: tuple[Child, ...]) -> tuple[ast.Annotation, ...]:
    return tuple(part for part in parts if isinstance(part, ast.Annotation))


def _pairs(parts: tuple[Child, ...]) -> tuple[tuple[str, ast.Expr], ...]:
    """The operators of a chain, each with the operand that follows it."""
    return tuple((str(op), operand) for op, operand in zip(parts[1::2], parts[2::2], strict=True))

"""Expressions: from syntax to compile-time values, one method a kind of expression."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat

from archc.diagnostics import ArchError, Fix, Span, error, nearest
from archc.elaborate.arithmetic import combine, compare, negate
from archc.elaborate.conditions import truth_of
from archc.elaborate.frame import Frame, Site, find
from archc.elaborate.graph_builder import GraphBuilder
from archc.elaborate.loops import Loop
from archc.elaborate.pytorch.counted_axes import Doubt, of_index, of_slice
from archc.elaborate.pytorch.tensor_words import instead
from archc.elaborate.pytorch.texts import of_texts
from archc.elaborate.pytorch.translated_methods import squared
from archc.elaborate.unpack import unpack_turns
from archc.elaborate.values import (
    Datum,
    Tag,
    Tensor,
    TensorShape,
    ValuesRefused,
    describe,
    is_int,
    is_number,
)
from archc.elaborate.walk import loop_names
from archc.ir.names import element_name
from archc.ops.op import TensorType
from archc.ops.registry import OPS
from archc.syntax import ast
from archc.syntax.edits import replaced


class Expressions:
    """Evaluates expressions in frames; calls and pipes are added by `calls.Evaluator`."""

    def __init__(self, builder: GraphBuilder) -> None:
        self.builder = builder
        self.budget = builder.budget
        self._constants: dict[tuple[int, str], Datum] = {}
        self._methods: dict[type, Callable[..., Datum]] = {
            ast.Name: self._name,
            ast.Number: lambda number, _: number.value,
            ast.Bool: lambda word, _: word.value,
            ast.String: self._string,
            ast.Paren: lambda paren, frame: self.evaluate(paren.value, frame),
            ast.Tuple: lambda node, frame: tuple([self.evaluate(i, frame) for i in node.items]),
            ast.List: self._list,
            ast.Comprehension: self._comprehension,
            ast.Unary: self._unary,
            ast.Arithmetic: self._arithmetic,
            ast.Compare: self._compare,
            ast.Logical: self._logical,
            ast.Choice: self._choice,
            ast.Index: self._index,
            ast.Slice: self._slice,
            ast.Attribute: self._attribute,
        }

    def evaluate(self, expr: ast.Expr, frame: Frame) -> Datum:
        """The value of an expression. Raises ArchError, or Poisoned if that was reported."""
        self.budget.spend(1, expr.span)
        return self._methods[type(expr)](expr, frame)

    def condition(self, expr: ast.Expr, frame: Frame, *, tested: bool = True) -> bool:
        """A value that must be true or false; `tested` says that nothing else becomes of it."""
        inner = expr
        while isinstance(inner, ast.Paren):
            inner = inner.value
        if isinstance(inner, ast.Logical):
            self.budget.spend(1, expr.span)
            return self._logical(inner, frame, tested=tested)
        value = self.evaluate(expr, frame)
        if not isinstance(value, bool):
            help, fix = truth_of(expr, value, frame.own, tested=tested)
            raise error(
                "E0206",
                f"a condition must be true or false, not {describe(value)}",
                expr.span,
                help=help,
                fix=fix,
                certain=True,
            )
        return value

    def items(self, expr: ast.Expr, frame: Frame) -> Sequence[Datum]:
        """The elements to loop over."""
        value = self.evaluate(expr, frame)
        if not isinstance(value, list | tuple):
            help: str | None = None
            fix: Fix = ()
            if isinstance(value, int):
                help = f"`range({value})` counts to it"
                fix = replaced(expr.span, f"range({expr.span.text})")
            raise error(
                "E0207", f"`in` needs a list, not {describe(value)}", expr.span, help=help, fix=fix
            )
        self.budget.spend(len(value), expr.span)
        return value

    def tag(self, label: ast.Name | ast.String, frame: Frame) -> Tag:
        """A label."""
        text = label.name if isinstance(label, ast.Name) else self._string(label, frame)
        return Tag(text, label.span)

    # ---------------------------------------------------------------- atoms

    def _name(self, name: ast.Name, frame: Frame) -> Datum:
        found = find(name, frame)
        return self._constant(found, name, frame) if isinstance(found, ast.Const) else found

    def _constant(self, const: ast.Const, name: ast.Name, frame: Frame) -> Datum:
        _, home = frame.file.names[name.name]
        key = (id(home), const.name.name)
        if key not in self._constants:
            if const.name.name in home.evaluating:
                raise error("E0303", f"the constant `{name.name}` needs itself", const.span)
            home.evaluating.add(const.name.name)
            try:
                own = Frame(home, frame.region)
                self._constants[key] = self.evaluate(const.value, own)
            finally:
                home.evaluating.discard(const.name.name)
        return self._constants[key]

    def _string(self, string: ast.String, frame: Frame) -> str:
        parts = [p if isinstance(p, str) else self._hole(p, frame) for p in string.parts]
        self.budget.at(string.span).make_text(sum(map(len, parts)))
        return "".join(parts)

    def _hole(self, part: ast.Expr, frame: Frame) -> str:
        value = self.evaluate(part, frame)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float | str):
            return str(value)
        raise error("E0209", f"{describe(value)} has no place in a string", part.span)

    def _list(self, node: ast.List, frame: Frame) -> list[Datum]:
        self.budget.at(node.span).make(len(node.items))
        elements = _elements(node, node.items, frame)
        return [self.evaluate(item, place) for item, place in elements]

    def _comprehension(self, node: ast.Comprehension, frame: Frame) -> list[Datum]:
        bound = [name.name for name in loop_names(node.names)]
        outer = {name: frame.names[name] for name in bound if name in frame.names}
        loop = Loop(node.names, self.items(node.items, frame))
        inner = frame.inside(loop)
        elements = _elements(node, repeat(node.value), inner)
        self.budget.at(node.span).make(len(loop.items))
        try:
            return [
                self.evaluate(*next(elements))
                for _ in self.turns(loop, node.items, inner)
                if node.condition is None or self.condition(node.condition, inner)
            ]
        finally:
            for name in bound:
                frame.names.pop(name, None)
            frame.names.update(outer)

    def turns(self, loop: Loop, written: ast.Expr, frame: Frame) -> Iterator[None]:
        """Bind the names of a loop turn by turn. `written` is what it runs over."""
        for values in unpack_turns(loop, written):
            loop.values = values
            frame.names.update(values)
            yield

    # ------------------------------------------------------------ operators

    def _unary(self, node: ast.Unary, frame: Frame) -> Datum:
        if node.op == "not":
            return not self.condition(node.operand, frame)
        value = self.evaluate(node.operand, frame)
        if isinstance(value, Tensor):
            return self._affine(value, -1 if node.op == "-" else 1, 0, Site(frame, node.span))
        try:
            return value if node.op == "+" and is_number(value) else negate(value)
        except ValuesRefused as refusal:
            raise error("E0202", refusal.message, node.span, help=refusal.help) from None

    def _arithmetic(self, node: ast.Arithmetic, frame: Frame) -> Datum:
        value = self.evaluate(node.first, frame)
        for op, operand in node.rest:
            site = Site(frame, node.first.span.to(operand.span))
            value = self.combine(op, value, self.evaluate(operand, frame), site)
        return value

    def combine(self, op: str, left: Datum, right: Datum, site: Site) -> Datum:
        """`left op right`; of tensors these are the operators `add`, `sub`, `mul` and `div`, of a
        tensor and a number `affine`."""
        if isinstance(left, Tensor) and isinstance(right, Tensor):
            if op not in _OF_TENSORS:
                message = f"`{op}` is not available between tensors (`+`, `-`, `*` and `/` are)"
                raise error("E0203", message, site.span)
            return self.builder.operate(_OF_TENSORS[op], (left, right), site)
        if isinstance(left, Tensor) and is_number(right):
            return self._affine(left, *_of_tensor(op, right, site.span), site)
        if isinstance(right, Tensor) and is_number(left):
            return self._affine(right, *_to_tensor(op, left, site.span), site)
        try:
            return combine(op, left, right, self.budget.at(site.span))
        except ValuesRefused as refusal:
            raise _refused(refusal, op, left, right, site.span) from None

    def _affine(self, x: Tensor, factor: float, shift: float, site: Site) -> Tensor:
        return self.builder.operate("affine", (x,), site, factor=factor, shift=shift)

    def _compare(self, node: ast.Compare, frame: Frame) -> bool:
        left = self.evaluate(node.first, frame)
        for op, operand in node.rest:
            right = self.evaluate(operand, frame)
            try:
                if not compare(op, left, right, self.budget.at(operand.span)):
                    return False
            except ValuesRefused as refusal:
                span = node.first.span.to(operand.span)
                raise _refused(refusal, op, left, right, span) from None
            left = right
        return True

    def _logical(self, node: ast.Logical, frame: Frame, *, tested: bool = False) -> bool:
        """In Python it gives one of its operands: that is no matter where it is only `tested`."""
        decides = node.op == "or"
        for operand in node.operands:
            if self.condition(operand, frame, tested=tested) == decides:
                return decides
        return not decides

    def _choice(self, node: ast.Choice, frame: Frame) -> Datum:
        chosen = node.then if self.condition(node.condition, frame) else node.otherwise
        return self.evaluate(chosen, frame)

    # ------------------------------------------------------ parts of values

    def _index(self, node: ast.Index, frame: Frame) -> Datum:
        value = self._sequence(node.value, frame)
        index = self.whole(node.index, frame)
        help: str | None = None
        if isinstance(node.value, ast.Attribute) and index == len(value):
            help = (
                f"a shape has no batch axis: write `{index - 1}`, and all other axes, too, one "
                "less than in PyTorch"
            )
        require_index(index, value, node.index.span, help)
        if isinstance(value, TensorShape):
            self.doubt(of_index(node, value, index), node.span)
        return value[index]

    def doubt(self, said: Doubt | None, span: Span) -> None:
        """Warn of an axis that is another one in PyTorch, where the batch is the first."""
        if said is not None:
            self.builder.warn("W0011", said[0], span, help=said[1])

    def _slice(self, node: ast.Slice, frame: Frame) -> Datum:
        value = self._sequence(node.value, frame)
        parts = [
            None if part is None else self.whole(part, frame)
            for part in (node.start, node.stop, node.step)
        ]
        if parts[2] == 0:
            assert node.step is not None
            raise error("E0210", "the step of a slice cannot be 0", node.step.span)
        chosen = slice(*parts)
        count = len(range(len(value))[chosen])
        work = self.budget.at(node.span)
        if isinstance(value, str):
            work.make_text(count)
        else:
            work.make(count)
        if isinstance(value, TensorShape):
            unpacked = node is frame.assigned and len(frame.hint) > 1
            self.doubt(of_slice(node, value, chosen, unpacked), node.span)
        return value[chosen]

    def _sequence(self, expr: ast.Expr, frame: Frame) -> Datum:
        value = self.evaluate(expr, frame)
        if isinstance(value, list | tuple | str):
            return value
        help = "`x -> take(8)` gives the first channels" if isinstance(value, Tensor) else None
        raise error("E0210", f"{describe(value)} has no elements", expr.span, help=help)

    def whole(self, expr: ast.Expr, frame: Frame) -> int:
        """An index."""
        value = self.evaluate(expr, frame)
        if not is_int(value):
            help = "`//` divides to a whole number" if isinstance(value, float) else None
            raise error(
                "E0210", f"an index must be an int, not {describe(value)}", expr.span, help=help
            )
        return value

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Datum:
        value = self.evaluate(node.value, frame)
        if not isinstance(value, Tensor):
            raise error("E0212", f"{describe(value)} has no attributes", node.span)
        known = attributes(value.type)
        if node.name in known:
            return known[node.name]
        near = nearest(node.name, known)
        torch = f"apply it: `{node.name}(x)`" if node.name in OPS else instead(node.name)
        if torch is not None:
            near = None
        *names, last = (f"`{name}`" for name in known)
        raise error(
            "E0212",
            f"a tensor {value.type} has no `{node.name}`",
            node.span,
            help=f"did you mean `{near}`?"
            if near
            else torch or f"it has {', '.join(names)} and {last}",
            fix=replaced(node.span, f"{node.value.span.text}.{near}") if near else (),
        )


def attributes(type_: TensorType) -> dict[str, Datum]:
    """The attributes of a tensor: what it has depends on its axes."""
    spatial = ("depth", "height", "width")[3 - type_.rank :] if type_.rank <= 3 else ()
    sizes = zip(spatial, type_.shape[1:], strict=True) if spatial else ()
    named = type_.batched and len(spatial) == type_.rank
    shape = TensorShape(type_.shape, ("channels", *spatial) if named else ())
    return {"channels": type_.channels, **dict(sizes), "shape": shape}


def require_index(index: int, value: Sequence[Datum], span: Span, help: str | None = None) -> None:
    """Refuse an index that is beyond the elements."""
    if not -len(value) <= index < len(value):
        message = f"index {index} is out of range: there are {len(value)} elements"
        raise error("E0210", message, span, help=help)


def _elements(
    node: ast.Expr, items: Iterable[ast.Expr], frame: Frame
) -> Iterator[tuple[ast.Expr, Frame]]:
    """The elements of a list, and where each stands: in one that is being bound to the name `xs`,
    they are called `xs0`, `xs1`, ..."""
    named = node is frame.assigned and len(frame.hint) == 1
    for index, item in enumerate(items, frame.first):
        if named:
            assigned = item if isinstance(item, ast.Call) else None
            yield item, frame.computing(element_name(frame.hint[0], index), assigned=assigned)
        else:
            yield item, frame


_OF_TENSORS = {"+": "add", "-": "sub", "*": "mul", "/": "div"}


def _refused(refusal: ValuesRefused, op: str, left: Datum, right: Datum, span: Span) -> ArchError:
    help, fix = of_texts(op, (left, right), span)
    return error("E0202", refusal.message, span, help=help or refusal.help, fix=fix)


def _of_tensor(op: str, number: float, span: Span) -> tuple[float, float]:
    """Factor and shift of `x op number`."""
    if op == "/" and number == 0:
        raise error("E0202", "division by zero", span)
    match op:
        case "+":
            return 1, number
        case "-":
            return 1, -number
        case "*":
            return number, 0
        case "/":
            return 1 / number, 0
    message = f"`{op}` does not apply to a tensor and a number (`+`, `-`, `*` and `/` do)"
    if op != "**":
        raise error("E0203", message, span)
    base, _, exponent = span.text.partition("**")
    product = squared(base.strip()) if exponent.strip() == "2" else None
    if product is None:
        raise error("E0203", message, span, help=instead("pow"))
    raise error("E0203", message, span, help=f"write `{product}`", fix=replaced(span, product))


def _to_tensor(op: str, number: float, span: Span) -> tuple[float, float]:
    """Factor and shift of `number op x`."""
    if op in ("+", "*"):
        return _of_tensor(op, number, span)
    if op == "-":
        return -1, number
    message = f"`{op}` does not apply to a number and a tensor (`+`, `-` and `*` do)"
    raise error("E0203", message, span, help=instead("reciprocal") if op == "/" else None)

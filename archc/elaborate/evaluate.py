"""Expressions: from syntax to compile-time values, one method a kind of expression."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import count, repeat

from archc.diagnostics import Fix, Span, error, nearest
from archc.elaborate.arithmetic import ArithmeticRefused, combine, compare, negate
from archc.elaborate.builder import Builder
from archc.elaborate.conditions import truth_of
from archc.elaborate.frame import Frame, Names
from archc.elaborate.loops import Loop
from archc.elaborate.pytorch.texts import of_texts
from archc.elaborate.unpack import unpack_turns
from archc.elaborate.values import (
    Given,
    OpConstructor,
    Tensor,
    Value,
    describe,
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

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.budget = builder.budget
        self.names = Names()
        self._methods: dict[type, Callable[..., Value]] = {
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

    def evaluate(self, expr: ast.Expr, frame: Frame) -> Value:
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

    def items(self, expr: ast.Expr, frame: Frame) -> Sequence[Value]:
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

    def text(self, label: ast.Name | ast.String, frame: Frame) -> str:
        """The text of a label."""
        return label.name if isinstance(label, ast.Name) else self._string(label, frame)

    # ---------------------------------------------------------------- atoms

    def _name(self, name: ast.Name, frame: Frame) -> Value:
        found = self.names.find(name, frame)
        return self._constant(found, name, frame) if isinstance(found, ast.Const) else found

    def _constant(self, const: ast.Const, name: ast.Name, frame: Frame) -> Value:
        _, home = frame.file.names[name.name]
        key = (id(home), const.name.name)
        if key not in self.names.constants:
            if const.name.name in home.evaluating:
                raise error("E0303", f"the constant `{name.name}` needs itself", const.span)
            home.evaluating.add(const.name.name)
            try:
                own = Frame(home, frame.region)
                self.names.constants[key] = self.evaluate(const.value, own)
            finally:
                home.evaluating.discard(const.name.name)
        return self.names.constants[key]

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

    def _list(self, node: ast.List, frame: Frame) -> list[Value]:
        self.budget.at(node.span).make(len(node.items))
        named = _names_elements(node, frame)
        hints = _hints(frame, named=named)
        return [self._element(item, next(hints), frame, named=named) for item in node.items]

    def _comprehension(self, node: ast.Comprehension, frame: Frame) -> list[Value]:
        bound = [name.name for name in loop_names(node.names)]
        outer = {name: frame.names[name] for name in bound if name in frame.names}
        named = _names_elements(node, frame)
        hints = _hints(frame, named=named)
        loop = Loop(node.names, self.items(node.items, frame))
        frame.loops.append(loop)
        self.budget.at(node.span).make(len(loop.items))
        try:
            return [
                self._element(node.value, next(hints), frame, named=named)
                for _ in self.turns(loop, node.items, frame)
                if node.condition is None or self.condition(node.condition, frame)
            ]
        finally:
            frame.loops.pop()
            for name in bound:
                frame.names.pop(name, None)
            frame.names.update(outer)

    def _element(
        self, item: ast.Expr, hint: tuple[str, ...], frame: Frame, *, named: bool
    ) -> Value:
        """An element of a list; `named` says that it has a name of its own, such as `xs0`."""
        frame.hint = hint
        if named:
            frame.assigned = item if isinstance(item, ast.Call) else None
        return self.evaluate(item, frame)

    def turns(self, loop: Loop, written: ast.Expr, frame: Frame) -> Iterator[None]:
        """Bind the names of a loop turn by turn. `written` is what it runs over."""
        for values in unpack_turns(loop, written):
            loop.values = values
            frame.names.update(values)
            yield

    # ------------------------------------------------------------ operators

    def _unary(self, node: ast.Unary, frame: Frame) -> Value:
        if node.op == "not":
            return not self.condition(node.operand, frame)
        value = self.evaluate(node.operand, frame)
        if isinstance(value, Tensor):
            return self._affine(value, -1 if node.op == "-" else 1, 0, frame, node.span)
        try:
            return value if node.op == "+" and is_number(value) else negate(value)
        except ArithmeticRefused as refusal:
            raise error("E0202", refusal.message, node.span, help=refusal.help) from None

    def _arithmetic(self, node: ast.Arithmetic, frame: Frame) -> Value:
        value = self.evaluate(node.first, frame)
        for op, operand in node.rest:
            span = node.first.span.to(operand.span)
            value = self.combine(op, value, self.evaluate(operand, frame), frame, span)
        return value

    def combine(self, op: str, left: Value, right: Value, frame: Frame, span: Span) -> Value:
        """`left op right`; of tensors these are the operators `add`, `sub`, `mul` and `div`, of a
        tensor and a number `affine`."""
        if isinstance(left, Tensor) and isinstance(right, Tensor):
            return self._tensors(op, left, right, frame, span)
        if isinstance(left, Tensor) and is_number(right):
            return self._affine(left, *_of_tensor(op, right, span), frame, span)
        if isinstance(right, Tensor) and is_number(left):
            return self._affine(right, *_to_tensor(op, left, span), frame, span)
        try:
            return combine(op, left, right, self.budget.at(span))
        except ArithmeticRefused as refusal:
            help, fix = of_texts(op, (left, right), span)
            raise error(
                "E0202", refusal.message, span, help=help or refusal.help, fix=fix
            ) from None

    def _tensors(self, op: str, left: Tensor, right: Tensor, frame: Frame, span: Span) -> Tensor:
        names = {"+": "add", "-": "sub", "*": "mul", "/": "div"}
        if op not in names:
            message = f"`{op}` is not available between tensors (`+`, `-`, `*` and `/` are)"
            raise error("E0203", message, span)
        made = self.builder.make_op(OpConstructor(OPS[names[op]]), {}, frame, span)
        return self.builder.apply_op(made, (left, right), None, frame, span)

    def _affine(self, x: Tensor, factor: float, shift: float, frame: Frame, span: Span) -> Tensor:
        given = {"factor": Given("factor", factor, span), "shift": Given("shift", shift, span)}
        made = self.builder.make_op(OpConstructor(OPS["affine"]), given, frame, span)
        return self.builder.apply_op(made, (x,), None, frame, span)

    def _compare(self, node: ast.Compare, frame: Frame) -> bool:
        left = self.evaluate(node.first, frame)
        for op, operand in node.rest:
            right = self.evaluate(operand, frame)
            try:
                if not compare(op, left, right, self.budget.at(operand.span)):
                    return False
            except ArithmeticRefused as refusal:
                span = node.first.span.to(operand.span)
                help, fix = of_texts(op, (left, right), span)
                raise error(
                    "E0202", refusal.message, span, help=help or refusal.help, fix=fix
                ) from None
            left = right
        return True

    def _logical(self, node: ast.Logical, frame: Frame, *, tested: bool = False) -> bool:
        """In Python it gives one of its operands: that is no matter where it is only `tested`."""
        decides = node.op == "or"
        for operand in node.operands:
            if self.condition(operand, frame, tested=tested) == decides:
                return decides
        return not decides

    def _choice(self, node: ast.Choice, frame: Frame) -> Value:
        chosen = node.then if self.condition(node.condition, frame) else node.otherwise
        return self.evaluate(chosen, frame)

    # ------------------------------------------------------ parts of values

    def _index(self, node: ast.Index, frame: Frame) -> Value:
        value = self._sequence(node.value, frame)
        index = self._whole(node.index, frame)
        if not -len(value) <= index < len(value):
            help: str | None = None
            if isinstance(node.value, ast.Attribute) and index == len(value):
                help = (
                    f"a shape has no batch axis: write `{index - 1}`, and all other axes, too, one "
                    "less than in PyTorch"
                )
            raise error(
                "E0210",
                f"index {index} is out of range: there are {len(value)} elements",
                node.index.span,
                help=help,
            )
        if isinstance(node.value, ast.Attribute) and isinstance(node.index, ast.Number):
            self._counted(node, node.value, index, len(value), frame)
        return value[index]

    def _is_learned(self, expr: ast.Expr, frame: Frame) -> bool:
        """Whether a name has a tensor without a batch axis."""
        value = frame.names.get(expr.name) if isinstance(expr, ast.Name) else None
        return isinstance(value, Tensor) and not value.type.batched

    def _counted(
        self, node: ast.Index, shape: ast.Attribute, index: int, axes: int, frame: Frame
    ) -> None:
        """Warn of `x.shape[1]`, which is another axis in PyTorch, where the batch is the first."""
        names = ("channels", *("depth", "height", "width")[4 - axes :])
        if shape.name != "shape" or axes != len(names) or self._is_learned(shape.value, frame):
            return
        x = shape.value.span.text
        meant = "the batch" if index == 0 else f"`{x}.{names[index - 1]}`"
        self.builder.warn(
            "W0011",
            f"`{node.span.text}` is `{x}.{names[index]}`: axes count without the batch",
            node.span,
            help=f"write `{x}.{names[index]}`; in PyTorch, it is {meant}",
        )

    def _slice(self, node: ast.Slice, frame: Frame) -> Value:
        value = self._sequence(node.value, frame)
        parts = [
            None if part is None else self._whole(part, frame)
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
        return value[chosen]

    def _sequence(self, expr: ast.Expr, frame: Frame) -> Value:
        value = self.evaluate(expr, frame)
        if isinstance(value, list | tuple | str):
            return value
        help = "`x -> take(8)` gives the first channels" if isinstance(value, Tensor) else None
        raise error("E0210", f"{describe(value)} has no elements", expr.span, help=help)

    def _whole(self, expr: ast.Expr, frame: Frame) -> int:
        value = self.evaluate(expr, frame)
        if isinstance(value, bool) or not isinstance(value, int):
            help = "`//` divides to a whole number" if isinstance(value, float) else None
            raise error(
                "E0210", f"an index must be an int, not {describe(value)}", expr.span, help=help
            )
        return value

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Value:
        value = self.evaluate(node.value, frame)
        if not isinstance(value, Tensor):
            raise error("E0212", f"{describe(value)} has no attributes", node.span)
        known = attributes(value.type)
        if node.name in known:
            return known[node.name]
        near = nearest(node.name, known)
        *names, last = (f"`{name}`" for name in known)
        raise error(
            "E0212",
            f"a tensor {value.type} has no `{node.name}`",
            node.span,
            help=f"did you mean `{near}`?" if near else f"it has {', '.join(names)} and {last}",
            fix=replaced(node.span, f"{node.value.span.text}.{near}") if near else (),
        )


def attributes(type_: TensorType) -> dict[str, Value]:
    """The attributes of a tensor: what it has depends on its axes."""
    spatial = ("depth", "height", "width")[3 - type_.rank :] if type_.rank <= 3 else ()
    sizes = zip(spatial, type_.shape[1:], strict=True) if spatial else ()
    return {"channels": type_.channels, **dict(sizes), "shape": list(type_.shape)}


def _names_elements(node: ast.Expr, frame: Frame) -> bool:
    """Whether this is the list that is being bound to one name."""
    return node is frame.assigned and len(frame.hint) == 1


def _hints(frame: Frame, *, named: bool) -> Iterator[tuple[str, ...]]:
    """What the elements of a list are called: `x0`, `x1`, ... of one that is bound to `xs`."""
    if not named:
        return repeat(frame.hint)
    (name,) = frame.hint
    return ((element_name(name, i),) for i in count(frame.first))


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
    square = re.fullmatch(r"(\w+)\s*\*\*\s*2", span.text)
    if square is None:
        raise error("E0203", message, span)
    product = f"{square[1]} * {square[1]}"
    raise error("E0203", message, span, help=f"write `{product}`", fix=replaced(span, product))


def _to_tensor(op: str, number: float, span: Span) -> tuple[float, float]:
    """Factor and shift of `number op x`."""
    if op in ("+", "*"):
        return _of_tensor(op, number, span)
    if op == "-":
        return -1, number
    message = f"`{op}` does not apply to a number and a tensor (`+`, `-` and `*` do)"
    raise error("E0203", message, span)

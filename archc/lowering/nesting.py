"""Which value gets a name, and what is written inside of what: from bindings to statements.

A value that is used once, by what follows it at once, is written inside its user. A line ends where
the chain would begin anew (norm -> relu -> conv, then norm again) or grow too long; evaluation
order is that of the spec.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from archc.lowering.bindings import Binding, Branch, Let, Turns, Value, late, read, reads
from archc.lowering.naming import Names
from archc.program.printing import fits, width
from archc.program.tree import (
    Assign,
    Call,
    Expr,
    For,
    Hole,
    If,
    IfExp,
    List,
    Name,
    Return,
    Stmt,
    Tuple,
    filled,
    names,
)

_NESTED = 72
"""A nested expression of more columns is given a name instead."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """An expression that waits for its only user."""

    value: int
    code: Expr
    ops: tuple[str, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Given:
    """What a `forward` gives: values, as a list or not. Its statements stand `depth` columns in."""

    values: Sequence[int]
    depth: int = 8
    listed: bool = False


def nested(bindings: Sequence[Binding], given: Given, names_: Names) -> tuple[Stmt, ...]:
    """The statements of a `forward`; `names_` has the names of its inputs."""
    return _Nesting(given, names_).run(bindings)


def in_turn(
    bindings: Sequence[Binding], depth: int, names_: Names, result: int | None = None
) -> tuple[Stmt, ...]:
    """The statements of a part of a body, which end in the `return` of a result if there is one;
    `names_` knows how often each value is read in the whole body."""
    nesting = _Nesting(Given(() if result is None else (result,), depth), names_)
    statements = nesting.part(bindings)
    if result is not None:
        names_.left[result] -= 1
    return statements


@dataclass
class _Nesting:
    given: Given
    names: Names
    out: list[Stmt] = field(default_factory=list)
    pending: list[_Pending] = field(default_factory=list)

    def run(self, bindings: Sequence[Binding]) -> tuple[Stmt, ...]:
        left = self.names.left
        for value in (*self.given.values, *(v for each in bindings for v in reads(each))):
            left[value] = left.get(value, 0) + 1
        return self.part(bindings)

    def part(self, bindings: Sequence[Binding]) -> tuple[Stmt, ...]:
        for each in bindings:
            if each is bindings[-1] and self._gives_all(each):
                assert isinstance(each, Let)
                self._end_line(each)
                self.out.append(Return(self._filled(each.code)))
                return tuple(self.out)
            self._bind(each)
        if self.given.values or self.given.listed:
            self._return()
        else:
            self._flush()
        return tuple(self.out)

    # ---------------------------------------------------------- bindings

    def _bind(self, each: Binding) -> None:
        if isinstance(each, Branch):
            self._branch(each)
            return
        self._end_line(each)
        if isinstance(each, Turns):
            self._loop(each)
            return
        code, ops = self._taken(each)
        if len(each.values) > 1:
            found = self.names.several(each.values)
            self.out.append(Assign(Tuple(tuple(map(Name, found))), code))
            for value, name in zip(each.values, found, strict=True):
                self.names.hold(value, name)
            return
        (value,) = each.values
        self.pending.append(_Pending(value, code, ops, each.kind))
        if self.names.left.get(value, 0) != 1:
            self._flush()

    def _taken(self, each: Let) -> tuple[Expr, tuple[str, ...]]:
        """An expression with what waits for it inside, and the operators of both."""
        code = self._filled(each.code)
        if self.pending and width(code) > _NESTED:
            self._flush()
            code = self._filled(each.code)
        operands = reads(each)
        inside = [other for other in self.pending if other.value in operands]
        for operand in operands:
            self.names.left[operand] -= 1
        self.pending = [other for other in self.pending if other not in inside]
        return code, (*(op for other in inside for op in other.ops), each.op)

    def _branch(self, each: Branch) -> None:
        """`if ...: y = branch(x) + x`, and what `y` is else, on one line where there is room."""
        self._flush()
        before, self.out = self.out, []
        *inner, sum_ = each.inner
        (shortcut,) = read(each.otherwise)
        self.names.left[shortcut] -= 1
        for part in inner:
            self._bind(part)
        assert isinstance(sum_, Let)
        self._end_line(sum_)
        code, ops = self._taken(sum_)
        otherwise = self._filled(each.otherwise)
        (value,) = sum_.values
        name = self.names.choose(value)
        target, inside, self.out = Name(name), self.out, before
        choice = IfExp(each.keeps, code, otherwise)
        if not inside and fits(Assign(target, choice), self.given.depth):
            self.pending.append(_Pending(value, choice, ops, "choice"))
            if self.names.left.get(value, 0) != 1:
                self._flush()
            return
        body = (*inside, Assign(target, code))
        self.out.append(If(each.keeps, body, (Assign(target, otherwise),)))
        self.names.hold(value, name)

    def _filled(self, code: Expr) -> Expr:
        """An expression with what waits written inside."""
        waiting = {other.value: other.code for other in self.pending}

        def fill(leaf: Hole | Name) -> Expr:
            if not isinstance(leaf, Value):
                return leaf
            found = waiting.get(leaf.number)
            return Name(self.names.of[leaf.number]) if found is None else found

        return filled(code, fill)

    def _end_line(self, each: Binding) -> None:
        """Give what waits a name, unless it may wait longer or is taken in."""
        choices = [isinstance(each, Let) and each.kind, *(other.kind for other in self.pending)]
        if (
            "choice" in choices
            or self._is_overtaken(each)
            or self._restarts(each)
            or self._comeslate(each)
        ):
            self._flush()

    def _is_overtaken(self, each: Binding) -> bool:
        """Whether what waits would be computed after something that does not read it.

        What only the `return` reads may wait for it, before what is read now.
        """
        operands = reads(each)
        others = [other for other in self.pending if other.value not in operands]
        if not others:
            return False
        single = isinstance(each, Let) and len(each.values) == 1
        given = self.given
        returned = all(other.value in given.values for other in others)
        return not (single and returned and others == self.pending[: len(others)])

    def _restarts(self, each: Binding) -> bool:
        """Whether a line ends here: it has blocks of this kind (but two may share it:
        `self.extract(self.reduce(x))`), or blocks follow operators."""
        if not self.pending or (isinstance(each, Let) and each.kind == "function"):
            return False
        chain = self.pending[-1]
        if chain.value not in reads(each):
            return False
        op = each.op if isinstance(each, Let) else ""
        if isinstance(each, Let) and each.kind == "layer":
            return op in chain.ops and len(chain.ops) > 1
        pair = isinstance(each, Let) and each.kind == "block" and chain.ops == (op,)
        again = op in chain.ops and not pair
        return again or (chain.kind not in {"block", "row"} and len(chain.ops) > 1)

    def _comeslate(self, each: Binding) -> bool:
        """Whether what waits would be computed after a part of the code: `a + b + waiting`."""
        waiting = {other.value for other in self.pending}
        return isinstance(each, Let) and not waiting.isdisjoint(late(each.code))

    def _loop(self, each: Turns) -> None:
        """`for layer in ...: x = layer(x)`, in the variables of its inputs where they are free."""
        found: list[str] = []
        for operand, value in zip(each.operands, each.values, strict=True):
            self.names.left[operand] -= 1
            found.append(self._variable(operand, value, found))
        word = next(w for w in ("layer", "child", "part") if w not in self.names.held)
        targets = tuple(map(Name, found))
        turn = Assign(_one_or_all(targets), Call(Name(word), targets))
        self.out.append(For(Name(word), each.children, (turn,)))
        for value, name in zip(each.values, found, strict=True):
            self.names.hold(value, name)

    def _variable(self, operand: int, value: int, taken: Sequence[str]) -> str:
        """The variable that goes from turn to turn, which holds the operand before the first."""
        name = self.names.choose(value, also=taken)
        waiting = [other for other in self.pending if other.value == operand]
        if waiting:
            self.pending = [other for other in self.pending if other.value != operand]
            self._assign(name, waiting[0].code)
        elif self.names.of[operand] != name:
            if not self.names.left[operand] and self.names.of[operand] not in taken:
                return self.names.of[operand]
            self._assign(name, Name(self.names.of[operand]))
        return name

    # ------------------------------------------------------------ naming

    def _flush(self) -> None:
        """Give all that waits a name."""
        words = [frozenset(names(other.code)) for other in self.pending]
        later = Counter(word for each in words for word in each)
        for other, own in zip(self.pending, words, strict=True):
            later -= Counter(own)
            name = self.names.choose(other.value, also=later, instead=_instead(other.code))
            self._assign(name, other.code)
            self.names.hold(other.value, name)
        self.pending = []

    def _assign(self, name: str, code: Expr) -> None:
        match code:
            case IfExp(test, body, Name(id=other)) if other == name:
                self.out.append(If(test, (Assign(Name(name), body),)))
                return
        if code != Name(name):
            self.out.append(Assign(Name(name), code))

    # ------------------------------------------------------------- results

    def _return(self) -> None:
        values = self.given.values
        waiting = [other.value for other in self.pending]
        if waiting != [value for value in values if value in waiting]:
            self._flush()
        statement = self._return_statement()
        long = any(width(other.code) > _NESTED // 2 for other in self.pending)
        if len(values) > 1 and (long or not fits(statement, self.given.depth)):
            self._flush()
            statement = self._return_statement()
        self.out.append(statement)

    def _return_statement(self) -> Return:
        codes = {other.value: other.code for other in self.pending}
        values = tuple(
            codes[value] if value in codes else Name(self.names.of[value])
            for value in self.given.values
        )
        return Return(List(values) if self.given.listed else _one_or_all(values))

    def _gives_all(self, each: Binding) -> bool:
        """Whether a call gives several results, and these are what is returned."""
        several = isinstance(each, Let) and len(each.values) > 1
        return several and not self.given.listed and each.values == tuple(self.given.values)


def _instead(code: Expr) -> str:
    """The name of a value that may be in the place of another one."""
    match code:
        case IfExp(_, _, Name(id)):
            return id
    return ""


def _one_or_all(parts: Sequence[Expr]) -> Expr:
    return parts[0] if len(parts) == 1 else Tuple(tuple(parts))

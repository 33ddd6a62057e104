"""What PyTorch, timm and Keras call things, and how a spec of archc says the same.

The names are facts about those libraries. What is made of them is a help, and a literal fix where
the same is surely computed: a mend never gives another net than was meant.
"""

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from archc import plugins
from archc.diagnostics import Edit, Fix, Span
from archc.elaborate.builtins import BUILTINS
from archc.elaborate.pytorch.hidden import hidden_in
from archc.elaborate.pytorch.near_names import (
    begun,
    declaring,
    enumerated,
    family,
    is_elsewhere,
    is_same_word,
    near_name,
)
from archc.elaborate.pytorch.sequences import list_of_layers, sequence
from archc.elaborate.pytorch.signatures import (
    FUNCTIONS,
    KERAS,
    LAZY,
    NEEDLESS,
    OPERANDS,
    SIGNATURES,
    Signature,
)
from archc.elaborate.pytorch.tensor_words import ABSENT, instead
from archc.elaborate.pytorch.texts import of_conversion
from archc.elaborate.pytorch.translated_arguments import UnsaidError
from archc.elaborate.pytorch.translated_calls import (
    WORDS,
    Render,
    axis_edits,
    function_call,
    module_call,
    tight,
    whole_image,
)
from archc.elaborate.pytorch.translated_methods import PARTS, of_function
from archc.elaborate.pytorch.vocabulary import ALIASES, UNLIKE
from archc.elaborate.walk import parts_of
from archc.ops.registry import GROUP, OPS
from archc.syntax import ast
from archc.syntax.edits import (
    edited_span,
    importing,
    inserted,
    is_rebound,
    is_stage,
    replaced,
)

_TORCH = {"nn", "torch", "F", "functional"}
_FUNCTIONS = _TORCH - {"nn"}
_KERAS = {"tf", "keras", "layers"}
_PREFIXES = _TORCH | _KERAS | {"self", "timm", "np"}


@dataclass(frozen=True, slots=True)
class Use:
    """An unknown name where it stands: `nn` in `nn.Conv2d`, in `nn.Conv2d(3, 16, 3)`."""

    name: ast.Name
    whole: ast.Expr
    """The name, or the attributes that begin with it."""
    call: ast.Call | None = None
    """The call of which that is the callee."""

    @property
    def prefixed(self) -> bool:
        """Whether it begins with a module of Python's, as `nn.Conv2d` does."""
        return self.name.name in _PREFIXES and isinstance(self.whole, ast.Attribute)

    @property
    def place(self) -> Span:
        return self.whole.span if self.prefixed else self.name.span


Mend = tuple[str, Fix]
"""A help, and the same as edits where it can be said so."""


def translation(use: Use, known: set[str], own: Set[str]) -> Mend:
    """What an unknown name stands for here. `own` are the names that the spec binds itself."""
    help, fix = _translation(use, known)
    hidden = hidden_in(fix, own)
    if hidden is not None:
        return f"{help}, but `{hidden}` is the spec's own here: give it another name", ()
    return help, fix


def _translation(use: Use, known: set[str]) -> Mend:
    word = use.place.text.rpartition(".")[2].strip()
    if word in ("chunk", "split"):
        return PARTS, ()
    if word in ("Sequential", "str") and use.call is not None:
        render = _renderer(known)
        return sequence(use.call, render) if word == "Sequential" else of_conversion(use.call)
    if word == "ModuleList" and use.call is not None:
        return list_of_layers(use.call, _renderer(known))
    if use.place.text == "self.training":
        return "operators know it: `dropout` drops in training only", ()
    if use.name.name == "self" and use.prefixed:
        help = f"there is no `self`: write `{word}`"
        return help, replaced(use.whole.span, word) if word in known else ()
    tabled = _of_tables(use, word, known)
    if tabled is not None:
        return tabled
    if use.name.name in _PREFIXES:
        return _of_prefix(use, word, known)
    return _declared(use, word, known) or _near(use, word, known)


def _of_prefix(use: Use, word: str, known: set[str]) -> Mend:
    """What no table has, behind a module of Python's."""
    meant = instead(word) if use.call is not None and use.name.name in _FUNCTIONS else None
    meant = instead("hardtanh") if use.prefixed and word == "Hardtanh" else meant
    if use.call is not None and meant is not None:
        return meant, _of_names(use.call, word, known)
    if use.name.name in _FUNCTIONS and word not in OPS and is_elsewhere(word):
        return ABSENT.format(word), ()
    if use.prefixed and (word in OPS or word in BUILTINS):
        if _is_same(use.name.name, word) or (use.call is None and word in _PLAIN):
            return f"write `{word}`: operators have no prefix", replaced(use.whole.span, word)
        return f"operators have no prefix; `{word}` here is archc's own", ()
    if use.prefixed and use.name.name in _TORCH | _KERAS:
        return _absent_class(use, word), ()
    return "this is not Python: operators have no prefix, as in `x -> conv(64, 3)`", ()


def _declared(use: Use, word: str, known: set[str]) -> Mend | None:
    """A block or net: one that is called nearly so, or that an import brings.

    `ResNet` may be the one that a shipped file declares, or mean those of ImageNet.
    """
    alike = begun(word, known)
    written = [name for name in alike if is_same_word(name, word)]
    if len(written) == 1:
        return f"did you mean `{written[0]}`?", replaced(use.name.span, written[0])
    paths = declaring(word, known)
    brings = [f'`import "{path}"` brings `{word}`' for path in paths]
    if alike:
        return "; ".join([f"there is no `{word}`, but {enumerated(alike)}", *brings]), ()
    others = family(word)
    if others is not None:
        brings.append(f'`import "{others[0]}"` brings {enumerated(others[1])}')
    if not brings:
        return None
    if len(brings) == 1 and paths:
        return f'`import "{paths[0]}"` brings it', importing(use.name.span.source, paths[0])
    return "; ".join(brings), ()


_OF_KINDS = {"isinstance", "type", "issubclass", "callable", "hasattr", "getattr"}
_KINDS = "a value has one kind, which a parameter may declare: `block B(width: int)(x)`"


def _near(use: Use, word: str, known: set[str]) -> Mend:
    """The name that may have been meant, or what there is instead of it."""
    names = {*known, *(plugin.name for plugin in plugins.offered(GROUP))}
    is_applied = use.call is not None or is_stage(use.name.span)
    if word in _OF_KINDS:
        return _KINDS, ()
    near, sure = near_name(word, names, is_applied=is_applied)
    if near is None:
        if is_applied and is_elsewhere(word):
            return ABSENT.format(word), ()
        return "names are bound by `=`, parameters, `for` and `import`", ()
    return f"did you mean `{near}`?", replaced(use.name.span, near) if sure else ()


def _absent_class(use: Use, word: str) -> str:
    help = ABSENT.format(word)
    is_class = use.name.name == "nn" and word[:1].isupper()
    return f'{help}: `... from "torch.nn:{word}"(...)`' if is_class else help


def _of_names(call: ast.Call, word: str, known: set[str]) -> Fix:
    """`max(x, y)` for `torch.max(x, y)`, and `(x * x)` for `torch.square(x)`, of variables; and
    `(-x)` for `torch.neg(x)`."""
    values = [argument.value for argument in call.arguments if argument.name is None]
    if word in ("neg", "negative") and len(values) == len(call.arguments) == 1:
        try:
            return replaced(call.span, f"(-{tight(rendered(values[0], known))})")
        except UnsaidError:
            return ()
    if len(values) != len(call.arguments) or not values or not isinstance(values[0], ast.Name):
        return ()
    x, *others = (value.span.text for value in values)
    if word in ("max", "min") and len(values) == 2 and isinstance(values[1], ast.Name):
        return replaced(call.span, f"{word}({x}, {others[0]})")
    if (word == "square" and not others) or (word == "pow" and others == ["2"]):
        return replaced(call.span, f"({x} * {x})")
    return ()


_SQUARE = re.compile(r"conv(\d)x\1")
_OF_CONV = {"stride", "padding", "groups", "dilation", "bias"}


def _square_conv(use: Use, word: str) -> Mend | None:
    """`conv3x3(16)`, without the channels of the input."""
    found = _SQUARE.fullmatch(word)
    if found is None or use.prefixed:
        return None
    help = f"the kernel is an argument: `conv(out, {found[1]})`"
    first, *others = use.call.arguments if use.call else (None,)
    if first is None or first.name is not None or any(a.name not in _OF_CONV for a in others):
        return help, ()
    kernel = inserted(Span(first.span.source, first.span.end, first.span.end), f", {found[1]}")
    return help, (*replaced(use.name.span, "conv"), *kernel)


def _of_tables(use: Use, word: str, known: set[str]) -> Mend | None:
    """What the tables say of a word of another library."""
    as_method = method_of(use, word, known) or _bounded(use, word, known)
    if as_method is not None:
        ours, _ = as_method
        return f"write `{ours}`", replaced((use.call or use.whole).span, ours)
    changing = word.removesuffix("_")
    if changing != word and changing in FUNCTIONS and is_function(use):
        return _in_place(use, FUNCTIONS[changing], known)
    if word in FUNCTIONS and is_function(use):
        return _call_of(use, FUNCTIONS[word], known)
    for signatures, homes in ((SIGNATURES, _TORCH), (LAZY, _TORCH), (KERAS, _KERAS)):
        if word in signatures and (not use.prefixed or use.name.name in homes):
            return _call_of(use, signatures[word], known)
    if word == "Parameter" and (learned := _PARAMETER.fullmatch((use.call or use.whole).span.text)):
        ours = f'param([{learned["sizes"]}], "{_BEGINS[learned["begins"]]}")'
        return f"write `{ours}`", replaced((use.call or use.whole).span, ours)
    if word in UNLIKE:
        return f"archc has `{UNLIKE[word][0]}`, which {UNLIKE[word][1]}", ()
    if word in ALIASES and (not use.prefixed or use.call is None):
        return f"archc calls it `{ALIASES[word]}`", replaced(use.whole.span, ALIASES[word])
    return _square_conv(use, word)


_BEGINS = {"zeros": "zeros", "ones": "ones", "randn": "normal"}
_PARAMETER = re.compile(
    rf"[\w.]*\(\s*(?:torch\.)?(?P<begins>{'|'.join(_BEGINS)})"
    r"\(\s*[\[(]?(?P<sizes>(?!1\s*,)\d+(?:,\s*\d+)*),?[\])]?\s*\)\s*\)"
)
"""A learned tensor; of one whose first axis has one element, that may be the batch."""


def method_of(use: Use, word: str, known: set[str]) -> tuple[str, list[int]] | None:
    """What a function is here that is a method of tensors, too, and the axes of an image then."""
    if use.call is None or use.name.name not in _FUNCTIONS or word in FUNCTIONS:
        return None
    try:
        return of_function(use.call, word, _renderer(known))
    except UnsaidError:
        return None


def _bounded(use: Use, word: str, known: set[str]) -> tuple[str, list[int]] | None:
    """`nn.Hardtanh(0, 6)` and `F.hardtanh(x, 0, 6)`, for any image."""
    if use.call is None or not use.prefixed or word.lower() != "hardtanh":
        return None
    operands = [] if word == "Hardtanh" else use.call.arguments[:1]
    bounds = [each for each in use.call.arguments[len(operands) :] if each.name not in NEEDLESS]
    names = [each.name or name for each, name in zip(bounds, _BOUNDS, strict=False)]
    values = [each.value.value for each in bounds if isinstance(each.value, ast.Number)]
    if (*names,) != _BOUNDS or values != [0, 6]:
        return None
    try:
        return f"relu6({''.join(rendered(each.value, known) for each in operands)})", []
    except UnsaidError:
        return None


_BOUNDS = ("min_val", "max_val")


def _in_place(use: Use, signature: Signature, known: set[str]) -> Mend:
    """`x = torch.relu_(x)`; elsewhere the tensor that is changed may be meant later, too."""
    help, fix = _call_of(use, signature, known)
    call = use.call
    changed = call.arguments[0].value if call is not None and call.arguments else None
    if call is None or not isinstance(changed, ast.Name) or not is_rebound(changed.name, call.span):
        fix = ()
    return f"no tensor is changed in place; {help}", fix


def is_function(use: Use) -> bool:
    """`F.relu(x)`, `torch.cat([x, y], 1)`; without a prefix only what takes a list of tensors."""
    if use.call is None or not use.call.arguments:
        return False
    listed = isinstance(use.call.arguments[0].value, ast.List | ast.Tuple)
    return use.name.name in _TORCH if use.prefixed else listed


_PLAIN = {"relu", "relu6", "silu", "sigmoid", "tanh", "gelu", "leaky_relu"}
"""Functions of torch's that are applied without arguments: `x -> F.relu`."""


def _is_same(prefix: str, word: str) -> bool:
    """Whether a word behind a prefix surely means archc's: torch.nn has no functions, and those of
    numpy on numbers are Python's."""
    return prefix == "nn" or (prefix == "np" and word in BUILTINS)


def _call_of(use: Use, signature: Signature, known: set[str]) -> Mend:
    """A class or function with a signature; a class may be applied as it is: `x -> nn.ReLU`."""
    words = f"archc calls it `{signature.operator}`"
    arguments = use.call.arguments if use.call else ()
    render = _renderer(known)
    try:
        if any(item.name in OPERANDS for item in signature.parameters):
            ours = function_call(signature, arguments, render)
        else:
            ours = module_call(signature, arguments, render, complete=use.call is not None)
    except UnsaidError as reason:
        like = _size_of(arguments)
        itself = like is not None and arguments[0].span.text == like
        if itself and signature.operator in _OF_WHOLE:
            return f"{words}; {_OF_WHOLE[signature.operator].format(like)}", ()
        return f"{words}; {reason}", ()
    if use.call is None:
        return words, replaced(use.whole.span, ours.removesuffix("()"))
    return words, replaced(use.call.span, ours)


_OF_WHOLE = {
    "avg_pool": "`global_avg_pool({0}, keep=true)` is the mean of the whole image",
    "max_pool": "`global_max_pool({0}, keep=true)` is the maximum of the whole image",
}
"""What is there for a size that is that of a whole image."""


def _size_of(arguments: Iterable[ast.Argument]) -> str | None:
    """The tensor whose whole image gives a size: `x` in `kernel_size=x.shape[2:]`."""
    return next(filter(None, (whole_image(each.value.span.text) for each in arguments)), None)


def _renderer(known: set[str]) -> Render:
    return lambda expr: rendered(expr, known)


def rendered(expr: ast.Expr, known: set[str]) -> str:
    """An expression with the calls of torch's and Python's words in it as the language has them.

    Raises:
        UnsaidError: one of them has no mend.
    """
    edits: list[Edit] = []
    for use in uses_in((expr,)):
        span = (use.call or use.whole).span
        if any(edit.span.start <= span.start < edit.span.end for edit in edits):
            continue
        if use.name.name in WORDS:
            edits += replaced(span, WORDS[use.name.name])
        elif use.prefixed or use.name.name in SIGNATURES:
            help, fix = _translation(use, known)
            if not fix:
                raise UnsaidError(f"`{use.place.text}`: {help}")
            edits += fix
    mended = [edit.span for edit in edits]
    axes = (edit for edit in axis_edits(expr) if not any(map(edit.span.is_within, mended)))
    edits += axes
    return edited_span(expr.span, edits)


def uses_in(parts: Iterable[ast.Syntax]) -> Iterator[Use]:
    """Names in expressions, with the attributes and the call that they begin; what is around a
    name comes before it."""
    uses: dict[int, Use] = {}
    inner = [*parts_of(tuple(parts))]
    for part in inner:
        call = part if isinstance(part, ast.Call) else None
        whole = call.callee if call else part
        name = whole
        while isinstance(name, ast.Attribute):
            name = name.value
        if isinstance(name, ast.Name) and isinstance(whole, ast.Name | ast.Attribute):
            uses.setdefault(id(name), Use(name, whole, call))
    yield from uses.values()

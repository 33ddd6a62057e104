"""How an operator is written in torch, as data: modules, functions and their arguments."""

from dataclasses import dataclass

TorchValue = int | float | bool | str | tuple["TorchValue", ...] | None
"""What an argument of emitted torch code may be."""


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()


@dataclass(frozen=True, slots=True)
class TorchArg:
    """One argument of a torch constructor or function.

    It is written by position while `positional`, else by keyword, and left out where it equals
    torch's own default.
    """

    name: str
    value: TorchValue
    default: TorchValue | _Required = REQUIRED
    positional: bool = False


@dataclass(frozen=True, slots=True)
class TorchModule:
    """How a layer is constructed, `cls(args)`, and called.

    `use` is a template as that of a `TorchFunction`, in which `{layer}` is the layer; without one
    it is called with its operands. A `parameter` is no module: it is constructed as
    `nn.Parameter(cls(args) * times)` and not called.
    """

    cls: str
    args: tuple[TorchArg, ...] = ()
    use: str = ""
    parameter: bool = False
    times: float = 1.0
    source: str = ""
    """The Python module that `cls` is imported from, where it is not torch's."""

    @property
    def text(self) -> str:
        """The template of its use."""
        return self.use or ("{layer}" if self.parameter else "{layer}({operands})")


@dataclass(frozen=True, slots=True)
class TorchFunction:
    """How an operator without weights is written in `forward`: an expression of Python.

    In `template`, `{0}`, `{1}` are operands, `{operands}` all of them with commas, `{args}` the
    arguments that differ from torch's defaults, and `{name}` the value of one argument. Brackets
    around operands come by themselves. A template that `folds` is of two operands, and further ones
    are joined from the left: `a + b + c`, `torch.maximum(torch.maximum(a, b), c)`.
    """

    template: str
    args: tuple[TorchArg, ...] = ()
    folds: bool = False

"""Where in a net an operator runs: told by Python's frames and by autograd's node, without a hook.

A hook of all modules would be one more thing that archc's runtime steps aside for.
"""

import sys
from bisect import bisect_right
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.autograd import graph
from torch.autograd.function import BackwardCFunction

_CALL = nn.Module._call_impl.__code__
"""What calls a module's `forward`."""
_ENGINE = graph._engine_run_backward.__code__
"""What starts the backward pass, which runs on the thread that asks for it."""

_FORWARD = {"convolution", "native_batch_norm", "max_pool2d_with_indices", "avg_pool2d"}
"""Operators that compute no gradient, wherever they run."""


class Places:
    """The modules of a net that operators belong to, by their paths."""

    def __init__(self, net: nn.Module) -> None:
        self.names: dict[nn.Module, str] = {each: name for name, each in net.named_modules()}
        self.starts: list[int] = []
        """The functions of autograd are numbered as they are made: from each of these numbers on
        they belong to the path at the same position."""
        self.paths: list[str] = []
        self.made = _functions_made()

    def forward(self) -> str:
        """The module whose `forward` runs. Functions that autograd has made since this was asked
        for last are those of its operators."""
        path, made = self._running(), _functions_made()
        if made > self.made and self.paths[-1:] != [path]:
            self.starts.append(self.made)
            self.paths.append(path)
        self.made = made
        return path

    def backward(self) -> str:
        """The module whose operator the backward pass is at; the net itself between operators."""
        at = bisect_right(self.starts, function_number()) - 1
        return self.paths[at] if at >= 0 else ""

    def _running(self) -> str:
        for frame in _frames():
            if frame.f_code is _CALL:
                module: nn.Module = frame.f_locals["self"]
                if module in self.names:
                    return self.names[module]
        return ""


def _frames() -> Iterator[FrameType]:
    """The calls that are at work, the innermost first, without those of this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not str(frame.f_globals.get("__name__")).startswith(__package__):
            yield frame
        frame = frame.f_back


def _functions_made() -> int:
    made: int = torch._C._autograd._get_sequence_nr()
    return made


def function_number() -> int:
    """The number of the function of autograd that the backward pass runs; -1 between them."""
    node: Any = torch._C._current_autograd_node()
    return -1 if node is None else int(node._sequence_nr())


def is_made_again(operator: str) -> bool:
    """Whether an operator of the backward pass computes what the forward pass has computed.

    So it does where Python calls it for a function of torch's own: that unpacks what it kept.
    """
    if operator in _FORWARD:
        return True
    node: Any = torch._C._current_autograd_node()
    if node is None or isinstance(node, BackwardCFunction):
        return False
    return next(_frames()).f_code is not _ENGINE

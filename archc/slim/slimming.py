"""From a net and its weights to a thin one: what was chosen, compiled, with the weights left."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path as File

from safetensors import SafetensorError
from torch import Tensor, nn

from archc.analysis.cost import Cost, costs_of
from archc.api import Model
from archc.channels.analysis import analyse
from archc.channels.plan import Plan, parse_plan
from archc.channels.selection import Choice
from archc.compiler import Compilation, Request, compile_spec
from archc.diagnostics import ArchError, error
from archc.ir.graph import Graph
from archc.passes.base import Pass
from archc.passes.pipeline import PASSES
from archc.passes.slim import Slim, thin
from archc.slim.weights import absorbs, masked, slimmed
from archc.train.run import Run
from archc.train.tensors import read_weights, weights_file
from archc.weights.net import origin

PLAN = "plan"
"""What the metadata of weights call the plan of the net that they are of."""


@dataclass(frozen=True)
class Wide:
    """A net that is to be slimmed, compiled up to where `slim` stands, and its weights.

    `first` is the plan by which it has been slimmed already, if it has, `run` the run that trained
    it, if one did.
    """

    request: Request
    compilation: Compilation
    state: Mapping[str, Tensor]
    first: Plan | None
    run: Run | None = None

    @property
    def graph(self) -> Graph:
        return self.compilation.graph

    def net(self) -> nn.Module:
        """The net after all its passes, with its weights."""
        passes = _passes(self.request, self.first, last=True)
        net = Model(compile_spec(replace(self.request, passes=passes))).build()
        net.load_state_dict(dict(self.state))
        return net


@dataclass(frozen=True)
class Thin:
    """The slimmed net: the plan for the net of the spec, its code and its weights."""

    wide: Wide
    choice: Choice
    plan: Plan
    compilation: Compilation
    state: Mapping[str, Tensor]

    def weights_file(self, beside: Mapping[str, str]) -> bytes:
        """The weights, with the spec, the plan, and what else is to be `beside` them."""
        metadata = {**origin(self.compilation), PLAN: self.plan.text(), **beside}
        return weights_file(self.state, metadata)

    def net(self) -> nn.Module:
        """The net with the weights that are left."""
        net = Model(self.compilation).build()
        net.load_state_dict(dict(self.state))
        return net

    @cached_property
    def cost(self) -> Cost:
        return costs_of(self.compilation.graph).total()

    @cached_property
    def without_producers(self) -> Cost:
        """What the net would cost if only norms and what they read and feed alone were thinner."""
        channels = self.choice.channels
        kept = analyse(channels.graph, channels.dropped, shifted=channels.shifted, producers=False)
        return costs_of(thin(kept)).total()


def open_wide(request: Request, file: File) -> Wide:
    """The net that a file has weights for; if it was slimmed, by the plan beside them. Raises
    ArchError."""
    try:
        state, metadata = read_weights(file)
    except (SafetensorError, OSError) as problem:
        raise error("E1030", f"the weights `{file}` cannot be read: {problem}") from None
    first = parse_plan(metadata[PLAN], f"the plan in `{file}`") if PLAN in metadata else None
    return wide_of(request, state, first, f"`{file}`")


def wide_of(request: Request, state: Mapping[str, Tensor], first: Plan | None, source: str) -> Wide:
    """A net with its weights, which messages call `source`. Raises ArchError if they do not fit."""
    compilation = compile_spec(replace(request, passes=_passes(request, first, last=False)))
    _check(compilation.graph, state, source)
    return Wide(request, compilation, state, first)


def _passes(request: Request, plan: Plan | None, *, last: bool) -> tuple[Pass, ...]:
    """The passes that are asked for, with `slim` in its place: up to it, or all of them."""
    earlier = PASSES[: PASSES.index(Slim)]
    before = [step for step in request.passes if type(step) in earlier]
    after = [step for step in request.passes if type(step) not in (*earlier, Slim)]
    return (*before, *([] if plan is None else [Slim.by(plan)]), *(after if last else ()))


def _check(graph: Graph, state: Mapping[str, Tensor], source: str) -> None:
    wanted = {
        ".".join(filter(None, (*(node.layer.path or ()), weight.name))): weight.shape
        for node, weights in graph.weights()
        for weight in weights
    }
    odd = [key for key in wanted if key not in state]
    if odd:
        raise _misfit(f"{source} has no `{odd[0]}`", graph)
    for key, tensor in state.items():
        if key not in wanted:
            raise _misfit(f"{source} has `{key}`", graph)
        if tuple(tensor.shape) != wanted[key]:
            found, shape = list(tensor.shape), list(wanted[key])
            raise _misfit(f"`{key}` is {found} in {source}, not {shape}", graph)


def _misfit(what: str, graph: Graph) -> ArchError:
    return error(
        "E1030",
        f"{what}: these are no weights of `{graph.name}` as it is set",
        help="`--net` and `--set` choose the net that was trained",
    )


def slim(wide: Wide, choice: Choice, notes: Mapping[str, object]) -> Thin:
    """The net without the chosen channels. Raises ArchError."""
    plan = choice.plan(notes)
    whole = plan if wide.first is None else plan.after(wide.first)
    passes = _passes(wide.request, whole, last=True)
    compilation = compile_spec(replace(wide.request, passes=passes))
    state = slimmed(wide.state, choice.channels, _running(wide, choice))
    _check(compilation.graph, state, "the slimmed net")
    return Thin(wide, choice, whole, compilation, state)


def _running(wide: Wide, choice: Choice) -> nn.Module | None:
    """The net with its masked weights, if it has to be run."""
    if not absorbs(choice.channels):
        return None
    net = Model(wide.compilation).build()
    net.load_state_dict(masked(wide.state, choice.channels))
    return net

"""What becomes of the first net of each shipped spec: the cells of docs/matrix.md.

A cell is what happened when it was made. `NOTHING` stands for a pass or technique that leaves the
net as it is, a code for one that refuses it; docs/matrix.md says why.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import emitted
import torch
from torch import nn
from torch.export import ExportedProgram

from archc.analysis.input_sizes import symbols_of
from archc.channels.selection import choose, widths_of
from archc.diagnostics import ArchError
from archc.export import onnx_file as onnx
from archc.export.nets import Exported, Leaving, alone, leaving, of_spec
from archc.export.programs import program_of, pt2_file
from archc.ir.exits import has_exits
from archc.ir.graph import Graph
from archc.ops.normalization import BatchNorm
from archc.ops.op import Op
from archc.ops.regularization import DropPath, SkippedPath
from archc.passes.fold_norms import FoldNorms
from archc.passes.pipeline import run_pipeline
from archc.passes.share_memory import ShareMemory
from archc.passes.simplify import Simplify
from archc.passes.stochastic_depth import StochasticDepth
from archc.train.data import load_data
from archc.train.data.arrays import Origin
from archc.train.ensemble import emit_ensemble, members_of
from archc.train.fit import fit
from archc.train.recipe_file import load_recipe
from archc.train.run import begin_run, load_run, make_config, save_weights
from archc.train.tensors import read_weights
from archc.watch.plan import watch_memory

NOTHING = "-"
RATIO = 0.3
"""Of channels, for `slim`: as in the table of docs/slimming.md."""
SIDE = 64
"""What a size is that a spec leaves open."""


# ------------------------------------------------------------------------ passes


@cache
def simplified(spec: str) -> Graph:
    """The graph that all passes but the first get."""
    return run_pipeline(emitted.emit(spec, passes=()).graph, [Simplify()])


def simplify(spec: str) -> str:
    before, after = emitted.emit(spec, passes=()).graph, simplified(spec)
    gone = len(list(before.nodes())) - len(list(after.nodes()))
    return f"{gone} gone" if gone else NOTHING


def slim(spec: str) -> str:
    graph = simplified(spec)
    numbers = random.Random(graph.name)
    scores = {path: [numbers.random() for _ in range(n)] for path, n in widths_of(graph).items()}
    try:
        kept = choose(graph, scores, RATIO).channels.norms()
    except ArchError as refusal:
        return refusal.diagnostics[0].code
    left = sum(mask.bit_count() for mask in kept.values())
    return "thinner" if left < sum(widths_of(graph).values()) else NOTHING


def fold_norms(spec: str) -> str:
    graph = simplified(spec)
    folded = run_pipeline(graph, [FoldNorms()])
    norms = _layers(graph, BatchNorm)
    words = [f"{norms - _layers(folded, BatchNorm)} of {norms} norms"] if norms else []
    if any(node.op.random for node in graph.nodes()):
        assert not any(node.op.random for node in folded.nodes())
        words.append("dropout")
    return ", ".join(words) or NOTHING


def stochastic_depth(spec: str) -> str:
    graph = simplified(spec)
    result = run_pipeline(graph, [StochasticDepth()])
    gone = len(list(graph.nodes())) - len(list(result.nodes()))
    skipped = sum(isinstance(node.op, SkippedPath) for node in result.nodes())
    drops = sum(isinstance(node.op, DropPath) for node in result.nodes()) - skipped
    found = {"skipped": skipped, "computed": drops, "gone": gone}
    return ", ".join(f"{n} {word}" for word, n in found.items() if n) or NOTHING


def share_memory(spec: str) -> str:
    sharing = run_pipeline(simplified(spec), [ShareMemory()]).sharing
    if not sharing:
        return "declined" if sharing.declined else NOTHING
    found = {"dense block": len(sharing.blocks), "join": len(sharing.concats)}
    return ", ".join(_counted(n, word) for word, n in found.items() if n)


def recompute(spec: str) -> str:
    sharing = run_pipeline(simplified(spec), [ShareMemory(recompute=True)]).sharing
    return _counted(len(sharing.rows), "block") if sharing.rows else NOTHING


def _layers(graph: Graph, kind: type[Op]) -> int:
    return len({node.layer.path for node in graph.nodes() if isinstance(node.op, kind)})


def _counted(n: int, word: str) -> str:
    return f"{n} {word}{'s' if n > 1 else ''}"


Cell = Callable[[str], str]

PASSES: Mapping[str, Cell] = {
    str(Simplify()): simplify,
    "slim": slim,
    str(FoldNorms()): fold_norms,
    str(StochasticDepth()): stochastic_depth,
    str(ShareMemory()): share_memory,
    str(ShareMemory(recompute=True)): recompute,
}


# -------------------------------------------------------------------- techniques


@dataclass(frozen=True)
class Subject:
    """A net as users have it: by the default passes, with freshly drawn weights."""

    spec: str
    folder: Path

    @property
    def made(self) -> emitted.Emitted:
        return emitted.emit(self.spec)

    @property
    def sizes(self) -> dict[str, int]:
        return {name: SIDE // dim.a for name, dim in symbols_of(self.made.graph).items()}

    @cached_property
    def exported(self) -> Exported:
        return of_spec(self.made.compilation, self.sizes, None)

    @cached_property
    def program(self) -> tuple[ExportedProgram, int | None]:
        """For a batch of any size, or of the one that is said."""
        try:
            return program_of(self.exported, None), None
        except ArchError:
            return program_of(self.exported, 1), 1


def exits(subject: Subject) -> str:
    graph = subject.made.graph
    if not has_exits(graph):
        return _refused(alone, subject.exported, "0")
    net, inputs = subject.exported.net, subject.exported.examples(2)
    with torch.no_grad():
        results = net(*inputs)
        for k, result in enumerate(results):
            torch.testing.assert_close(net(*inputs, exit=k), result, rtol=1e-4, atol=1e-4)
    return f"{len(results)} exits"


def samples_leave(subject: Subject) -> str:
    """In the ONNX file of all exits, compared with `predict`: in the middle, and at the end."""
    exported = subject.exported
    count = len(exported.outputs) - 1
    texts = [",".join(["2"] * taken + ["0"] * (count - taken)) for taken in (count // 2, count)]
    if not hasattr(exported.net, "predict"):
        return _refused(leaving, exported, texts[0], None)
    model = onnx.onnx_model(exported, program_of(exported, 1), None)
    for text in texts:
        rule: Leaving = leaving(exported, text, "confidence")
        content = onnx.onnx_file(onnx.conditional(model, exported, rule), exported)
        assert onnx.checked_leaving(content, exported, rule) is not None
    return "yes"


def pt2(subject: Subject) -> str:
    program, batch = subject.program
    pt2_file(subject.exported, program, batch)
    return "any batch" if batch is None else f"batch {batch}"


def onnx_model(subject: Subject) -> str:
    program, batch = subject.program
    exported = subject.exported
    content = onnx.onnx_file(onnx.onnx_model(exported, program, None), exported)
    assert onnx.checked(content, exported, batch) is not None
    return "any batch" if batch is None else f"batch {batch}"


def plan(subject: Subject) -> str:
    """Of a training step: what the net keeps, as a share of what torch keeps of it."""
    found = watch_memory(subject.made.compilation, 2, symbols=subject.sizes)
    return f"{found.planned.saved / found.naive.saved:.0%} kept"


def training(subject: Subject) -> str:
    """Two nets of the spec for `digits` become one module, which gives the mean of both."""
    try:
        fitted = fit(subject.made.compilation.request, load_data("digits"))
    except ArchError as refusal:
        return refusal.diagnostics[0].code
    folder = subject.folder / subject.spec
    config = make_config(fitted, Origin("digits"), load_recipe("default"), 0, {})
    begin_run(folder, config, fitted.model.source)
    run = load_run(folder)
    nets = []
    for cycle in (1, 2):
        torch.manual_seed(cycle)
        nets.append(fitted.model.build().eval())
        path = folder / "snapshots" / f"cycle-{cycle}.safetensors"
        save_weights(path, nets[-1].state_dict(), config.spec_sha256)
    emit_ensemble(run, members_of(run, "all"), folder / "ensemble.py")
    ensemble = emitted.build_from(folder / "ensemble.py").eval()
    ensemble.load_state_dict(read_weights(folder / "ensemble.safetensors")[0])
    images = torch.randn(2, fitted.channels, *fitted.size)
    with torch.no_grad():
        each = [_last(net, images).softmax(1) for net in nets]
        torch.testing.assert_close(_last(ensemble, images).exp(), sum(each) / 2)
    return "yes"


def _last(net: nn.Module, images: torch.Tensor) -> torch.Tensor:
    results = net(images)
    last: torch.Tensor = results if isinstance(results, torch.Tensor) else results[-1]
    return last


def _refused(do: Callable[..., object], *arguments: object) -> str:
    try:
        do(*arguments)
    except ArchError as refusal:
        return refusal.diagnostics[0].code
    raise AssertionError("it is not refused")


TECHNIQUES: Mapping[str, Callable[[Subject], str]] = {
    "exits": exits,
    "leaving": samples_leave,
    "pt2": pt2,
    "onnx": onnx_model,
    "plan": plan,
    "ensemble": training,
}

"""Runs of training as what is slimmed, and what is left of one as the folder of a run."""

from dataclasses import replace
from pathlib import Path as File

from msgspec import structs, yaml

from archc.compiler import Request, compile_spec
from archc.diagnostics import error
from archc.elaborate.limits import Limits
from archc.passes.parse import parse_passes
from archc.passes.slim import Slim
from archc.slim.slimming import Thin, Wide, wide_of
from archc.train.run import Run, load_run, spec_sha256

PLAN = "plan.yaml"


def request_of(run: Run) -> Request:
    """What compiles the net of a run again; one that was slimmed, by the plan beside it, or by that
    which the training named. Raises ArchError where such a plan cannot be read."""
    config, beside = run.config, run.folder / PLAN
    is_slim = [step.startswith(f"{Slim.name}{{") for step in config.passes]
    named = f'{Slim.name}{{plan="{beside.as_posix()}"}}' if beside.is_file() else None
    steps = [(slim and named) or step for step, slim in zip(config.passes, is_slim, strict=True)]
    return Request(config.spec, config.net, config.settings, parse_passes(",".join(steps)))


def open_run(folder: File, limits: Limits) -> Wide:
    """The net of a run with its weights; of a slimmed one, with its plan. Raises ArchError."""
    run = load_run(folder)
    config, request = run.config, replace(request_of(run), limits=limits)
    slimmed = [step for step in request.passes if isinstance(step, Slim)]
    request = replace(request, passes=tuple(p for p in request.passes if p not in slimmed))
    graph = compile_spec(request).graph
    if graph.inputs()[0].type.channels != config.channels:
        request = replace(request, channels=config.channels)
        graph = compile_spec(request).graph
    if not slimmed and spec_sha256(graph) != config.spec_sha256:
        raise error("E1006", f"`{config.spec}` is another net than the one that {folder} has")
    first = slimmed[0].content if slimmed else None
    return replace(wide_of(request, run.weights(), first, f"`{folder}`"), run=run)


def run_file(thin: Thin, folder: File) -> tuple[bytes, str]:
    """The `run.yaml` of what was slimmed of a run, and the hash of its net."""
    sha256 = spec_sha256(thin.compilation.graph)
    passes = tuple(map(str, thin.compilation.request.passes))
    config = structs.replace(load_run(folder).config, passes=passes, spec_sha256=sha256)
    return yaml.encode(config), sha256

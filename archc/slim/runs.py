"""Runs of training as what is slimmed, and what is left of one as the folder of a run."""

from dataclasses import replace
from pathlib import Path as File

from msgspec import structs, yaml

from archc.channels.plan import Plan, read_plan
from archc.compiler import Request, compile_spec
from archc.diagnostics import error
from archc.elaborate.limits import Limits
from archc.passes.parse import parse_passes
from archc.passes.slim import Slim
from archc.slim.slimming import Thin, Wide, wide_of
from archc.train.run import CONFIG, load_run, spec_sha256

PLAN = "plan.yaml"


def is_run(folder: File) -> bool:
    """Whether a folder is that of a run."""
    return (folder / CONFIG).is_file()


def open_run(folder: File, limits: Limits) -> Wide:
    """The net of a run with its weights; of a slimmed one, with its plan. Raises ArchError."""
    run = load_run(folder)
    config = run.config
    slimmed = [step for step in config.passes if step.startswith(f"{Slim.name}{{")]
    passes = parse_passes(",".join(step for step in config.passes if step not in slimmed))
    request = Request(config.spec, config.net, config.settings, passes, limits)
    graph = compile_spec(request).graph
    if graph.inputs()[0].type.channels != config.channels:
        request = replace(request, channels=config.channels)
        graph = compile_spec(request).graph
    if not slimmed and spec_sha256(graph) != config.spec_sha256:
        raise error("E1006", f"`{config.spec}` is another net than the one that {folder} has")
    first = _plan_of(folder, slimmed)
    return replace(wide_of(request, run.weights(), first, f"`{folder}`"), run=run)


def _plan_of(folder: File, slimmed: list[str]) -> Plan | None:
    """The plan beside a run; where it was trained elsewhere than slimmed, that its pass names."""
    if not slimmed:
        return None
    if (beside := folder / PLAN).is_file():
        return read_plan(beside)
    (step,) = parse_passes(slimmed[0])
    assert isinstance(step, Slim)
    return step.content


def run_file(thin: Thin, folder: File) -> tuple[bytes, str]:
    """The `run.yaml` of what was slimmed of a run, and the hash of its net."""
    sha256 = spec_sha256(thin.compilation.graph)
    passes = tuple(map(str, thin.compilation.request.passes))
    config = structs.replace(load_run(folder).config, passes=passes, spec_sha256=sha256)
    return yaml.encode(config), sha256

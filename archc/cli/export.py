"""`archc export`: a net as a file that runs without archc."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archc.cli.console import say, show
from archc.cli.options import Limit, Net, Passes, Plain, Set, compile_net, make_request
from archc.cli.size_options import Sizes, given_sizes

if TYPE_CHECKING:
    from archc.export.nets import Exported, Leaving

_ALL, _LEAVING = "all", "cond"


def export_command(
    run_or_spec: Annotated[
        str,
        typer.Argument(
            metavar="RUN|SPEC", help="The folder of a run, or a spec.", show_default=False
        ),
    ],
    onnx: Annotated[
        Path | None, typer.Option("--onnx", metavar="FILE", help="Write an ONNX model.")
    ] = None,
    pt2: Annotated[
        Path | None, typer.Option("--pt2", metavar="FILE", help="Write what torch.export makes.")
    ] = None,
    openvino: Annotated[
        Path | None,
        typer.Option("--openvino", metavar="FILE", help="Write OpenVINO's .xml, its .bin beside."),
    ] = None,
    exits: Annotated[
        str,
        typer.Option(
            metavar="all|K|cond",
            help="Of a net with exits: all of them, one by name or number, or samples leave.",
        ),
    ] = _ALL,
    batch: Annotated[
        str | None, typer.Option(metavar="N|dynamic", help="The batch; by default any, if it can.")
    ] = None,
    opset: Annotated[
        int | None, typer.Option(min=18, help="Of ONNX; torch's choice by default.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="NAME|FILE",
            help="Weights of the run, `model` by default, as `best`; of a spec, a `.safetensors`.",
        ),
    ] = None,
    ensemble: Annotated[
        str | None, typer.Option(metavar="all|last:N", help="The mean of the run's snapshots.")
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(metavar="A,B,..", help="For `--exits cond`; by default the calibrated ones."),
    ] = None,
    criterion: Annotated[
        str | None, typer.Option(metavar="confidence|entropy", help="What the thresholds are of.")
    ] = None,
    size: Sizes = None,
    net: Net = None,
    set_: Set = None,
    passes: Passes = None,
    plain: Plain = False,
    limit: Limit = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Write a net for other runtimes, run the file once, and compare it with the net.

    For example: [cyan]archc export runs/msdnet --onnx msdnet.onnx --exits cond[/cyan]
    """
    sys.path.append("")  # extern layers may be modules of this folder, as with `python -m`
    targets = _Targets(onnx, pt2, openvino)
    _check(targets, exits, batch, thresholds, criterion)
    if ensemble and (weights or not Path(run_or_spec).is_dir()):
        raise typer.BadParameter("`--ensemble` is of a run, and stands without `--weights`")
    targets.refuse_present(force)
    from archc.export.onnx_file import NEEDED, require

    require(*(NEEDED if onnx else ()), *(("openvino",) if openvino else ()))
    from archc.export import nets

    if Path(run_or_spec).is_dir():
        if net or set_ or passes or plain or limit or size:
            raise typer.BadParameter("a run has its net: `--net`, `--set` and passes are for specs")
        exported = nets.of_run(Path(run_or_spec), weights or "model", ensemble)
    else:
        compilation = compile_net(make_request(run_or_spec, net, set_, limit, passes, plain))
        exported = nets.of_spec(compilation, given_sizes(compilation.graph, size), weights)
        if weights is None:
            _warn_of_weights()
    leaving = None
    if exits == _LEAVING:
        leaving = nets.leaving(exported, thresholds, criterion)
    elif exits != _ALL:
        exported = nets.alone(exported, exits)
    _write(targets, exported, leaving, batch, opset, prune=exits not in (_ALL, _LEAVING))


@dataclass(frozen=True)
class _Targets:
    """The files to write."""

    onnx: Path | None
    pt2: Path | None
    openvino: Path | None

    def refuse_present(self, force: bool) -> None:
        from archc.diagnostics import error

        beside = self.openvino.with_suffix(".bin") if self.openvino else None
        for path in (self.onnx, self.pt2, self.openvino, beside):
            if path is not None and path.exists() and not force:
                what = f"cannot write `{path}`: there is such a file"
                raise error("E0801", what, help="`--force` replaces it; give it another name")


def _check(
    targets: _Targets,
    exits: str,
    batch: str | None,
    thresholds: str | None,
    criterion: str | None,
) -> None:
    """Raises BadParameter for options that do not go together."""
    if targets == _Targets(None, None, None):
        raise typer.BadParameter("give a file to write: `--onnx`, `--pt2` or `--openvino`")
    if targets.openvino and targets.openvino.suffix != ".xml":
        raise typer.BadParameter("the file of OpenVINO is an `.xml`, with a `.bin` beside it")
    if batch not in (None, "dynamic") and not (batch.isascii() and batch.isdecimal()):
        raise typer.BadParameter(f"--batch takes a number or `dynamic`, not `{batch}`")
    if batch is not None and batch.isdecimal() and int(batch) == 0:
        raise typer.BadParameter("--batch takes a number from 1")
    if exits == _LEAVING:
        if targets.pt2 or targets.openvino:
            raise typer.BadParameter("`--exits cond` is for `--onnx` alone")
        if batch not in (None, "1"):
            raise typer.BadParameter("with `--exits cond` the batch is 1")
    elif thresholds or criterion:
        raise typer.BadParameter("`--thresholds` and `--criterion` are for `--exits cond`")
    if criterion not in (None, "confidence", "entropy"):
        raise typer.BadParameter(f"there is no criterion `{criterion}`: confidence or entropy")


def _warn_of_weights() -> None:
    from archc.diagnostics import warning

    what = "the weights are freshly drawn, not trained"
    show([warning("", what, help="`--weights FILE` gives those of a file")])


def _write(
    targets: _Targets,
    exported: "Exported",
    leaving: "Leaving | None",
    batch: str | None,
    opset: int | None,
    prune: bool,
) -> None:
    """Make all that is asked for before any of it is written."""
    from archc.diagnostics import ArchError
    from archc.export import onnx_file as as_onnx
    from archc.export.programs import program_of, pt2_file
    from archc.writing import write_atomically

    number = 1 if leaving else None if batch in (None, "dynamic") else int(batch)
    try:
        program = program_of(exported, number, prune=prune)
    except ArchError:
        if batch is not None or number is not None:
            raise
        say("export", "torch.export takes this net for no batch of any size: the batch is 1")
        number = 1
        program = program_of(exported, number, prune=prune)
    made: list[tuple[Path, bytes, str]] = []
    if targets.pt2:
        content, difference = pt2_file(exported, program, number)
        made.append((targets.pt2, content, _told(difference, "torch.export")))
    if targets.onnx:
        model = as_onnx.onnx_model(exported, program, opset)
        if leaving:
            content = as_onnx.onnx_file(as_onnx.conditional(model, exported, leaving), exported)
            found = as_onnx.checked_leaving(content, exported, leaving)
        else:
            content = as_onnx.onnx_file(model, exported)
            found = as_onnx.checked(content, exported, number)
        made.append((targets.onnx, content, _told(found, "onnxruntime")))
    if targets.openvino:
        from archc.export.openvino_file import openvino_files

        xml, numbers, difference = openvino_files(exported, program, number)
        made.append((targets.openvino.with_suffix(".bin"), numbers, "the weights"))
        made.append((targets.openvino, xml, _told(difference, "OpenVINO")))
    for path, content, told in made:
        write_atomically(path, content)
        say("export", f"wrote {path} ({len(content):,} bytes): {told}")


def _told(difference: float | None, runtime: str) -> str:
    if difference is None:
        return f"not run, as {runtime} is not installed"
    return (
        f"in {runtime} its results differ from the net's by at most {difference:.1e} of the largest"
    )

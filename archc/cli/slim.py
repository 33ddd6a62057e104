"""`archc slim`: a trained net without the channels that matter least."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archc.cli.compile import write_source
from archc.cli.console import say, write_data, write_json
from archc.cli.options import Limit, Net, Passes, Set, make_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archc.channels.selection import Choice
    from archc.compiler import Request
    from archc.slim.slimming import Thin, Wide

Slimmed = Annotated[
    str, typer.Argument(metavar="SPEC", help="A path, or the name of a shipped spec.")
]


def slim_command(
    spec: Slimmed,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The trained weights of a spec, as safetensors."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FOLDER", help="For plan, code, weights and report."
        ),
    ] = None,
    ratio: Annotated[
        str | None,
        typer.Option(metavar="R|P%", help="The share of all norms' channels that go, as 0.5."),
    ] = None,
    target_macs: Annotated[
        str | None, typer.Option(metavar="N|P%", help="At most so many multiply-accumulates.")
    ] = None,
    target_params: Annotated[
        str | None, typer.Option(metavar="N|P%", help="At most so many parameters.")
    ] = None,
    target_latency: Annotated[
        str | None,
        typer.Option(metavar="P%", help="At most this share of the time, as measured on this CPU."),
    ] = None,
    rule: Annotated[str, typer.Option(metavar="count|paper")] = "count",
    score: Annotated[str, typer.Option(metavar="scale|l1|l2|random|taylor")] = "scale",
    seed: Annotated[int, typer.Option(help="Of random scores, and of the images of `taylor`.")] = 0,
    min_channels: Annotated[
        int, typer.Option(min=0, help="What each norm keeps; 0 lets whole branches go.")
    ] = 1,
    max_layer_ratio: Annotated[
        float, typer.Option(min=0, max=1, help="The largest share of a norm that goes.")
    ] = 1.0,
    round_to: Annotated[
        int, typer.Option(metavar="N", min=1, help="Norms keep a multiple of N channels.")
    ] = 1,
    fold_shift: Annotated[
        bool,
        typer.Option("--fold-shift", help="Keep what the shifts of channels add that go."),
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Say of each channel of a norm why it stays; no files."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images at a time, to measure latency.")] = 1,
    no_eval: Annotated[
        bool, typer.Option("--no-eval", help="Measure neither accuracy, of runs, nor time.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a run, or a model.py edited by hand.")
    ] = False,
    net: Net = None,
    set_: Set = None,
    passes: Passes = None,
    limit: Limit = None,
) -> None:
    """Slim a trained net: write its plan, its code, its weights and a report.

    For example: [cyan]archc slim vgg_cifar --weights vgg.safetensors --ratio 0.7 -o thin[/cyan]
    """
    if sum(each is not None for each in (ratio, target_macs, target_params, target_latency)) != 1:
        raise typer.BadParameter(
            "give one of --ratio, --target-macs, --target-params and --target-latency"
        )
    share = None if ratio is None else _share(ratio)
    if output is None and explain is None:
        raise typer.BadParameter("-o names the folder for what is written")
    sys.path.append("")  # extern layers may be modules of this folder, as with `python -m`
    from archc.channels.selection import Floor
    from archc.slim.measured import measure
    from archc.slim.report import to_json, to_text
    from archc.slim.slimming import slim
    from archc.slim.targets import Aim, choose_for

    if output is not None:
        _check_folder(output, force)
    floor = Floor(min_channels, max_layer_ratio, round_to)
    targets = target_macs, target_params, target_latency
    aim = Aim(share, *targets, batch, rule, score, seed, fold_shift, floor)
    wide = _open(make_request(spec, net, set_, limit, passes), weights)
    choice = choose_for(wide, aim)
    if explain is not None:
        _explain(choice, wide, explain)
        return
    thin = slim(wide, choice, aim.notes(choice))
    assert output is not None
    if not no_eval and wide.run is not None:
        say("slim", "measuring both nets on the test images of the run; `--no-eval` leaves it out")
    measured = None if no_eval else measure(thin, batch)
    report = to_json(thin, measured)
    _write(thin, report, Path(spec), output, force=force)
    write_json(report) if as_json else write_data(to_text(thin, measured))


def _share(text: str) -> float:
    """A ratio, as `0.5` or `50%`. Raises typer.BadParameter."""
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = -1
    if not 0 <= number < 1:
        raise typer.BadParameter(
            f"--ratio is at least 0 and less than 1, as `0.5` or `50%`, not `{text}`"
        )
    return number


def _open(request: "Request", weights: Path | None) -> "Wide":
    """The net that is slimmed: of a run, or of a spec and a file of weights."""
    from archc.slim.runs import open_run
    from archc.slim.slimming import open_wide
    from archc.train.run import is_run

    folder = Path(request.spec)
    if weights is None and is_run(folder):
        return open_run(folder, request.limits)
    if weights is None:
        raise typer.BadParameter("--weights names the file of the net's trained weights")
    return open_wide(request, weights)


def _explain(choice: "Choice", wide: "Wide", name: str) -> None:
    """A line for each channel of a norm."""
    from archc.channels.selection import widths_of
    from archc.diagnostics import did_you_mean, error

    widths = {".".join(path): width for path, width in widths_of(wide.graph).items()}
    if name not in widths:
        help = did_you_mean(name, widths)
        raise error("E0841", f"`{wide.graph.name}` has no batch norm `{name}`", help=help)
    path = tuple(name.split("."))
    scores = choice.scores.get(path)
    for channel in range(widths[name]):
        score = f"{scores[channel]:12.6g}" if scores else ""
        write_data(f"{channel:>6}{score}  {choice.why(path, channel)}\n")


def _check_folder(folder: Path, force: bool) -> None:
    """A run that is there is not replaced. Raises ArchError."""
    from archc.diagnostics import error
    from archc.train.run import is_run

    if is_run(folder) and not force:
        raise error(
            "E1007",
            f"{folder} has a run already",
            help="name another folder by `-o`; `--force` replaces its net",
        )


def _write(
    thin: "Thin", report: "Mapping[str, object]", source: Path, folder: Path, *, force: bool
) -> None:
    """All files: `model.py` first, which is refused where it was edited."""
    from archc.slim.report import to_svg
    from archc.slim.runs import run_file
    from archc.train.run import is_run
    from archc.writing import write_atomically

    files: dict[str, bytes] = {"plan.yaml": thin.plan.text().encode()}
    beside: dict[str, str] = {}
    if is_run(source):
        files["run.yaml"], beside["spec_sha256"] = run_file(thin, source)
    files["model.safetensors"] = thin.weights_file(beside)
    files["report.json"] = (json.dumps(report, indent=2) + "\n").encode()
    files["report.svg"] = to_svg(thin).encode()
    folder.mkdir(parents=True, exist_ok=True)
    write_source(thin.compilation.source(), folder / "model.py", force, "slim")
    for name, content in files.items():
        write_atomically(folder / name, content)
    say("slim", f"wrote {', '.join(files)} in {folder}")

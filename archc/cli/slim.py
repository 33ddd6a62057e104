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
        float | None, typer.Option(help="The share of all norms' channels that go, 0 to 1.")
    ] = None,
    target_macs: Annotated[
        str | None, typer.Option(metavar="N|P%", help="At most so many multiply-accumulates.")
    ] = None,
    target_params: Annotated[
        str | None, typer.Option(metavar="N|P%", help="At most so many parameters.")
    ] = None,
    rule: Annotated[str, typer.Option(metavar="count|paper")] = "count",
    score: Annotated[str, typer.Option(metavar="scale|l1|l2|random")] = "scale",
    seed: Annotated[int, typer.Option(help="Of random scores.")] = 0,
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
    targets = [ratio, target_macs, target_params]
    if sum(target is not None for target in targets) != 1:
        raise typer.BadParameter("give one of --ratio, --target-macs and --target-params")
    if ratio is not None and not 0 <= ratio < 1:
        raise typer.BadParameter(f"--ratio is at least 0 and less than 1, not {ratio}")
    if output is None and explain is None:
        raise typer.BadParameter("-o names the folder for what is written")
    sys.path.append("")  # extern layers may be modules of this folder, as with `python -m`
    from archc.channels.selection import Floor
    from archc.slim.report import to_json, to_text
    from archc.slim.slimming import slim
    from archc.slim.targets import Aim, choose_for

    floor = Floor(min_channels, max_layer_ratio, round_to)
    aim = Aim(ratio, target_macs, target_params, rule, score, seed, fold_shift, floor)
    wide = _open(make_request(spec, net, set_, limit, passes), weights)
    choice = choose_for(wide, aim)
    if explain is not None:
        _explain(choice, wide, explain)
        return
    thin = slim(wide, choice, aim.notes(choice))
    assert output is not None
    _write(thin, Path(spec), output, force=force)
    write_json(to_json(thin)) if as_json else write_data(to_text(thin))


def _open(request: "Request", weights: Path | None) -> "Wide":
    """The net that is slimmed: of a run, or of a spec and a file of weights."""
    from archc.slim.runs import is_run, open_run
    from archc.slim.slimming import open_wide

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


def _write(thin: "Thin", source: Path, folder: Path, *, force: bool) -> None:
    """All files: `model.py` first, which is refused where it was edited."""
    from archc.diagnostics import error
    from archc.slim.report import to_json, to_svg
    from archc.slim.runs import is_run, run_file
    from archc.writing import write_atomically

    if is_run(folder) and not force:
        raise error(
            "E1007",
            f"{folder} has a run already",
            help="name another folder by `-o`; `--force` replaces its net",
        )
    files: dict[str, bytes] = {"plan.yaml": thin.plan.text().encode()}
    beside: dict[str, str] = {}
    if is_run(source):
        files["run.yaml"], beside["spec_sha256"] = run_file(thin, source)
    files["model.safetensors"] = thin.weights_file(beside)
    files["report.json"] = (json.dumps(to_json(thin), indent=2) + "\n").encode()
    files["report.svg"] = to_svg(thin).encode()
    folder.mkdir(parents=True, exist_ok=True)
    write_source(thin.compilation.source(), folder / "model.py", force, "slim")
    for name, content in files.items():
        write_atomically(folder / name, content)
    say("slim", f"wrote {', '.join(files)} in {folder}")

"""`archc eval`: how good a trained net is."""

import sys
from collections.abc import Iterator
from enum import StrEnum
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archc.cli.anytime import draw_exits, exits_lines
from archc.cli.console import say, write_data, write_json
from archc.cli.data_options import Data, DataDir, Download, ImageSize
from archc.cli.options import Limit, Net, Passes, Plain, Set, make_request

if TYPE_CHECKING:
    from archc.train.evaluation import Measures, Report
    from archc.train.run import Run
    from archc.train.trained import Trained

_CLASSES = 20
"""Of more classes only the worst are listed."""


class Split(StrEnum):
    """The images to measure on."""

    TEST = "test"
    VAL = "val"
    TRAIN = "train"


def eval_command(
    run_or_spec: Annotated[
        str,
        typer.Argument(
            metavar="RUN|SPEC", help="The folder of a run, or a spec.", show_default=False
        ),
    ],
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="NAME|FILE",
            help="Weights of the run, `model` by default, as `best`; of a spec, a `.safetensors`.",
        ),
    ] = None,
    ensemble: Annotated[
        str | None,
        typer.Option(
            metavar="all|last:N", help="Average the probabilities of the run's snapshots."
        ),
    ] = None,
    emit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the ensemble as a module, its weights beside it."),
    ] = None,
    split: Annotated[Split, typer.Option(help="Of the data set.")] = Split.TEST,
    confusion: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw what was taken for what, as SVG.")
    ] = None,
    anytime: Annotated[
        bool, typer.Option("--anytime", help="Of a net with exits: what each of them costs.")
    ] = False,
    budgets: Annotated[
        bool, typer.Option("--budgets", help="Of a net with exits: accuracy under budgets.")
    ] = False,
    criterion: Annotated[
        str, typer.Option(metavar="confidence|entropy", help="Who leaves, for `--budgets`.")
    ] = "confidence",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data: Data = None,
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    download: Download = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda")] = "auto",
    net: Net = None,
    set_: Set = None,
    passes: Passes = None,
    plain: Plain = False,
    limit: Limit = None,
) -> None:
    """Measure a trained net: accuracies, loss and calibration of each exit and class.

    For example: [cyan]archc eval runs/densenet_cifar-digits[/cyan]
    """
    sys.path.append("")  # extern layers may be modules of this folder, as with `python -m`
    is_run = Path(run_or_spec).is_dir()
    wanted = [name for name, on in (("anytime", anytime), ("budgets", budgets)) if on]
    if is_run and (net or set_ or passes or plain or limit):
        raise typer.BadParameter("a run has its net: `--net`, `--set` and passes are for specs")
    if not is_run and (weights is None or data is None or ensemble):
        raise typer.BadParameter(
            f"`{run_or_spec}` is not the folder of a run, and a spec takes `--weights FILE` and "
            "`--data NAME`, without `--ensemble`"
        )
    if (ensemble and weights) or (emit and not ensemble):
        raise typer.BadParameter("`--ensemble` stands without `--weights`, `--emit` with it")
    from archc.anytime.calibration import check_exits
    from archc.anytime.report import measure
    from archc.train.data import Origin
    from archc.train.devices import Machine
    from archc.train.ensemble import members_of
    from archc.train.evaluation import evaluate
    from archc.train.run import load_run
    from archc.train.trained import trained_run, trained_spec

    where = {"name": data, "folder": data_dir, "size": image_size, "download": download}
    given: dict[str, Any] = {name: value for name, value in where.items() if value is not None}
    names, members = [weights or "model"], None
    if is_run:
        run = load_run(Path(run_or_spec))
        trained = trained_run(run, **given)
        if ensemble:
            names = members_of(run, ensemble)
            members = _ensemble(run, names, trained, emit)
    else:
        request = make_request(run_or_spec, net, set_, limit, passes, plain)
        trained = trained_spec(request, Origin(**given))
    kind = Machine(device).kind
    if wanted:
        check_exits(trained)
    report = evaluate(trained.on(kind), names, split.value)
    exits = measure((members or trained).on(kind), split.value, criterion) if wanted else None
    if exits:
        draw_exits(exits, trained, wanted, Path(run_or_spec) if is_run else Path())
    if confusion:
        _draw(report, confusion)
    if as_json:
        write_json(report.to_json() | ({"anytime": exits.to_json()} if exits else {}))
    else:
        lines = [*_lines(report), *(exits_lines(exits, wanted) if exits else ())]
        write_data("".join(f"{line}\n" for line in lines))


def _ensemble(run: "Run", names: list[str], trained: "Trained", emit: Path | None) -> "Trained":
    """The snapshots as one net, which is written where that is asked for."""
    from archc.train.ensemble import emit_ensemble, trained_ensemble

    if emit:
        say("eval", f"wrote {emit} and {emit_ensemble(run, names, emit)}")
    return trained_ensemble(run, names, trained.data)


def _draw(report: "Report", path: Path) -> None:
    from archc.viz.confusion import confusion_svg
    from archc.writing import write_atomically

    title = f"{report.net} on {report.data}"
    write_atomically(path, confusion_svg(title, report.class_names, report.counts).encode())
    say("eval", f"wrote {path}")


def _lines(report: "Report") -> Iterator[str]:
    from archc.analysis.text_table import table

    yield f"{report.net} on {report.images:,} images of {report.data} ({report.split})"
    yield ""
    head = ("", "top-1", "top-5", "loss", "calibration error")
    rows = [_row(name, each) for name, each in report.exits.items()]
    if report.members:
        *early, (_, *last) = rows
        rows = [*early, ("ensemble", *last)]
        rows += [_row(name, each) for name, each in report.members.items()]
    yield from table([head, *rows], words=1)
    if report.members:
        yield ""
        yield from _about_members(report)
    yield ""
    accuracies = sorted(report.class_accuracies().items(), key=itemgetter(1))
    shown = accuracies[:_CLASSES]
    if len(shown) < len(accuracies):
        yield f"the {len(shown)} hardest of {len(accuracies)} classes"
    yield from table([("class", "accuracy"), *((n, f"{a:.2%}") for n, a in shown)], words=1)


def _row(name: str, each: "Measures") -> tuple[str, ...]:
    shares = f"{each.top1:.2%}", f"{each.top5:.2%}"
    return name, *shares, f"{each.loss:.4f}", f"{each.calibration_error:.4f}"


def _about_members(report: "Report") -> Iterator[str]:
    pairs = [report.agreements[i][j] for j in range(len(report.members)) for i in range(j)]
    mean = sum(pairs) / len(pairs)
    span = f"from {min(pairs):.2%} to {max(pairs):.2%}" if len(pairs) > 1 else ""
    yield f"two members agree on {mean:.2%} of the images{', ' if span else ''}{span}"
    *_, whole = report.exits.values()
    gain = 100 * (whole.top1 - report.members[report.best].top1)
    where = f"{abs(gain):.2f} points {'below' if gain < 0 else 'above'}"
    yield f"the ensemble is {where} {report.best}, the best of them on these images"

"""`archc calibrate`: thresholds at which samples leave a net with exits, for a budget."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archc.cli.console import say, write_data, write_json
from archc.cli.evaluate import Split

if TYPE_CHECKING:
    from archc.anytime.calibration import Calibration, Chosen
    from archc.anytime.thresholds import Samples


def calibrate_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    budget: Annotated[
        str,
        typer.Option(
            metavar="N|Nms|P%",
            help="The mean cost of an image: `40M` multiply-accumulates, `2.5ms`, or a share of "
            "what the last exit costs.",
        ),
    ],
    criterion: Annotated[str, typer.Option(metavar="confidence|entropy")] = "confidence",
    unit: Annotated[
        str, typer.Option(metavar="macs|ms", help="What a share is of: counted, or measured here.")
    ] = "macs",
    weights: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Weights of the run, `model` by default, as `best`."),
    ] = None,
    ensemble: Annotated[
        str | None, typer.Option(metavar="all|last:N", help="For the mean of the run's snapshots.")
    ] = None,
    split: Annotated[Split, typer.Option(help="The images to choose by.")] = Split.VAL,
    as_json: Annotated[bool, typer.Option("--json", help="Print what is saved.")] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda")] = "auto",
) -> None:
    """Choose thresholds for a budget, and save them beside the weights as `thresholds.json`.

    For example: [cyan]archc calibrate runs/msdnet --budget 40M[/cyan]
    """
    sys.path.append("")  # extern layers may be modules of this folder, as with `python -m`
    from archc.anytime import calibration as its
    from archc.train.devices import Machine
    from archc.train.ensemble import members_of, trained_ensemble
    from archc.train.run import load_run
    from archc.train.trained import trained_run

    if ensemble and weights:
        raise typer.BadParameter("`--ensemble` stands without `--weights`")
    if unit not in its.UNITS:
        raise typer.BadParameter(f"there is no unit `{unit}`: macs or ms", param_hint="--unit")
    asked_for = its.parse_budget(budget, "ms" if unit == "ms" else "macs")
    its_run = load_run(run)
    trained = trained_run(its_run)
    its.check_exits(trained)
    if ensemble:
        names = members_of(its_run, ensemble)
        trained = trained_ensemble(its_run, names, trained.data)
    else:
        names = [weights or "model"]
        trained.load(names[0])
    trained = trained.on(Machine(device).kind)
    costs = its.exit_costs(trained, asked_for.unit)
    samples = its.samples_of(its.asked(trained, split.value), costs, criterion)
    chosen = its.choose(samples, asked_for.of(costs), asked_for.unit)
    found = its.calibration_of(
        trained, tuple(names), split.value, criterion, asked_for.unit, chosen, samples
    )
    test = samples if split is Split.TEST else None
    if test is None:
        test = its.samples_of(its.asked(trained, "test"), costs, criterion)
    path = its.save_calibration(run, found)
    say("calibrate", f"wrote {path}")
    if as_json:
        write_json(found.to_json())
    else:
        parts = {split.value: samples, "test": test}
        write_data("".join(f"{line}\n" for line in _lines(found, trained.exits, chosen, parts)))


def _lines(
    found: "Calibration", exits: tuple[str, ...], chosen: "Chosen", parts: "dict[str, Samples]"
) -> Iterator[str]:
    from archc.analysis.text_table import table
    from archc.anytime.calibration import amount
    from archc.anytime.thresholds import NEVER

    yield f"{found.net}: at most {amount(found.budget, found.unit)} an image, by {found.criterion}"
    yield ""
    words = {NEVER: "never", -NEVER: "all"}
    levels = [*(words.get(t, f"{t:.4f}") for t in found.thresholds), "all"]
    rows = [
        (name, amount(cost, found.unit), level, f"{count / found.images:.1%}")
        for name, cost, level, count in zip(exits, found.costs, levels, found.leave, strict=True)
    ]
    yield from table([("exit", "cost", "threshold", "leave"), *rows], words=1)
    yield ""
    lines = []
    for name, thresholds in (("search", chosen.thresholds), ("paper's family", chosen.family)):
        for split, samples in parts.items():
            if thresholds is None:
                lines.append((name, split, "none", ""))
            else:
                outcome = samples.outcome(thresholds)
                lines.append(
                    (name, split, f"{outcome.accuracy:.2%}", amount(outcome.cost, found.unit))
                )
    yield from table([("thresholds", "images", "accuracy", "mean cost"), *lines], words=2)

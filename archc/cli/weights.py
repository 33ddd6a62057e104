"""`archc weights`: published checkpoints as the weights of a spec's net."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archc.cli.console import say, write_data, write_json
from archc.cli.options import (
    ForPurpose,
    Limit,
    Net,
    Passes,
    Purpose,
    Set,
    Spec,
    compile_net,
    make_request,
)

if TYPE_CHECKING:
    from archc.compiler import Compilation
    from archc.diagnostics import ArchError
    from archc.weights.mapping import Mapped

_SHOWN = 5
"""Layers without weights that a message names."""


def weights_command(
    spec: Spec,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Weights, as safetensors or by torch.save."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="Where to write safetensors.")
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="torchvision|timm|gpleiss|kalviny|slimming",
            help="Whose names the file has; by default, all that are known are tried.",
        ),
    ] = None,
    excepted: Annotated[
        list[str] | None,
        typer.Option("--except", metavar="MODULE", help="Begin it anew, as a head of classes."),
    ] = None,
    pack_binary: Annotated[
        bool,
        typer.Option("--pack-binary", help="Store binary weights as signs, one bit each."),
    ] = False,
    purpose: ForPurpose = Purpose.TRAINING,
    seed: Annotated[int, typer.Option(help="Of the weights that begin anew.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    net: Net = None,
    set_: Set = None,
    passes: Passes = None,
    limit: Limit = None,
) -> None:
    """Write the weights in a published checkpoint with the names that a spec's net has for them.

    For example: [cyan]archc weights resnet resnet50-11ad3fa6.pth -o resnet50.safetensors[/cyan]
    """
    sys.path.append("")  # extern layers may be modules of this folder, as with `python -m`
    from archc.diagnostics import error
    from archc.weights.checkpoint import read_checkpoint
    from archc.weights.inference import inference_form, inference_weights
    from archc.weights.mapping import map_checkpoint
    from archc.weights.net import begun, content_of, keys_of, packed_content_of
    from archc.weights.report import to_json, to_text
    from archc.weights.sources import find_sources
    from archc.writing import write_atomically

    if output.exists() and not force:
        help = "`--force` replaces it; `-o` can name another file"
        raise error("E0801", f"cannot write `{output}`: there is such a file", help=help)
    sources = find_sources(source)
    checkpoint = read_checkpoint(file)
    compilation = compile_net(make_request(spec, net, set_, limit, passes))
    mapped = map_checkpoint(checkpoint, keys_of(compilation), sources, excepted or ())
    write_json(to_json(mapped)) if as_json else write_data(to_text(mapped))
    if mapped.missing:
        raise _misfit(mapped, file, compilation)
    state = {**mapped.state, **begun(compilation, mapped.kept, seed)}
    if purpose is Purpose.INFERENCE:
        state = inference_weights(state, compilation)
        compilation = inference_form(compilation)
    content = content_of(compilation, state)
    if pack_binary:
        plain = len(content)
        content = packed_content_of(compilation, state)
        ratio = plain / len(content)
        say("weights", f"{plain:,} bytes are {len(content):,} packed, {ratio:.1f} times fewer")
    write_atomically(output, content)
    say("weights", f"wrote {output}")


def _misfit(mapped: "Mapped", file: Path, compilation: "Compilation") -> "ArchError":
    """What a file has no weights for."""
    from archc.diagnostics import error

    name = compilation.graph.name
    layers = {each.key.rpartition(".")[0]: each for each in mapped.missing}
    notes = [f"`{path or each.key}`: {each.why}" for path, each in list(layers.items())[:_SHOWN]]
    if len(layers) > _SHOWN:
        notes.append(f"and {len(layers) - _SHOWN} more")
    few = "1 layer" if len(layers) == 1 else f"{len(layers)} layers"
    what = f"`{file}` has no weights for {few} of `{name}`"
    ((path, only), *others) = layers.items()
    help = "`--net` and `--set` choose the net that was trained"
    if only.width is not None and not others:
        settable = any(name == "classes" for name, _ in compilation.graph.info.parameters)
        first = f"`--set classes={only.width}` takes it, " if settable else ""
        help = f"{first}`--except {path}` begins it anew"
    return error("E1041", what, help=help, notes=notes)

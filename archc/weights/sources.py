"""What is known of the names in published checkpoints."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from archc.diagnostics import did_you_mean, error

_WRAPPER = re.compile(r"(?:^|(?<=\.))(?:module|_orig_mod)\.")
"""What DataParallel and torch.compile put before, or between, the names of modules."""


@dataclass(frozen=True)
class Source:
    """Patterns of keys, and what stands for them in ours; and of keys that are no weights: indices
    of channels, which say nothing where all are taken."""

    renamed: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = ()
    indices: str | None = None


_NUMBERED = (r"\b(norm|relu|conv)\.(\d+)\.", r"\1\2.")
"""torchvision's first DenseNets, and those after them, called layers `norm.1`."""

_REGNET = (
    (r"^stem\.(conv|bn)\.", lambda m: f"stem.{_place(m[1])}."),
    (
        r"^s(\d)\.b(\d+)\.",
        lambda m: f"trunk_output.block{m[1]}.block{m[1]}-{int(m[2]) - 1}.",
    ),
    (r"\.downsample\.(conv|bn)\.", lambda m: f".proj.{_place(m[1])}."),
    (r"\.conv([123])\.(conv|bn)\.", lambda m: f".f.{'_abc'[int(m[1])]}.{_place(m[2])}."),
    (r"\.se\.", ".f.se."),
    (r"^head\.fc\.", "fc."),
)
"""timm's RegNets project last, torchvision's first, and both by a layer of the shape of another."""


def _place(layer: str) -> int:
    """Of a layer in a row of a convolution and its norm."""
    return ("conv", "bn").index(layer)


SOURCES = {
    "torchvision": Source((_NUMBERED,)),
    "timm": Source(_REGNET),
    "gpleiss": Source((_NUMBERED, (r"\bnorm_final\.", "norm5."))),
    "kalviny": Source(),
    "slimming": Source(indices=r"(^|\.)select\.indexes$"),
}
"""torchvision; timm; efficient_densenet_pytorch (gpleiss); MSDNet-PyTorch (kalviny); network
slimming in PyTorch (Eric-mingjie and foolwood)."""


def find_sources(name: str | None) -> list[Source]:
    """The source of that name, or all of them. Raises ArchError for an unknown one."""
    if name is None:
        return list(SOURCES.values())
    if name not in SOURCES:
        help = did_you_mean(name, SOURCES) or f"there are {', '.join(SOURCES)}"
        raise error("E1041", f"`--from {name}`: no such names are known", help=help)
    return [SOURCES[name]]


def renamed(
    state: Mapping[str, Tensor], known: Iterable[str], sources: Iterable[Source]
) -> dict[str, str]:
    """The keys of a checkpoint by the names that they have without wrappers, and in ours where a
    rule leads to one of the `known`. Keys that are no weights are left out.

    Raises ArchError for a net that selects channels.
    """
    wanted, rules = set(known), list(sources)
    weights = [each for each, tensor in state.items() if not _selects(each, tensor, rules)]
    bare = {each: each if each in wanted else _WRAPPER.sub("", each) for each in weights}
    found: dict[str, str] = {}
    for original, there in _without_common_part(bare, wanted).items():
        candidates = (there, *(_by_rules(there, rule) for rule in rules))
        name = next((each for each in candidates if each in wanted), there)
        found[original if name in found else name] = original
    return found


def _by_rules(key: str, source: Source) -> str:
    for pattern, replacement in source.renamed:
        key = re.sub(pattern, replacement, key)
    return key


def _selects(key: str, tensor: Tensor, sources: Iterable[Source]) -> bool:
    """Whether a tensor has the indices of a selection, which takes all."""
    if not any(source.indices and re.search(source.indices, key) for source in sources):
        return False
    if not bool((tensor == 1).all()):
        raise error(
            "E1041",
            f"`{key}` selects {int((tensor != 0).sum())} of {tensor.numel()} channels: the net was "
            "pruned",
            help="map the net before the pruning, and prune it by `archc slim`",
        )
    return True


def _without_common_part(names: Mapping[str, str], wanted: set[str]) -> dict[str, str]:
    """Names without the module that all of them are in, if ours are in none that is called so."""
    around = {name.partition(".")[0] for name in names.values()}
    ours = {name.partition(".")[0] for name in wanted}
    if len(around) != 1 or around <= ours:
        return dict(names)
    (prefix,) = around
    return {original: name.removeprefix(f"{prefix}.") for original, name in names.items()}

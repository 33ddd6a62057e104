"""Names near an unknown one, files that declare it, and operations that archc does not have.

Names of operations are near each other though they compute different things, as `elu` and `relu`.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from archc.diagnostics import nearest, only_near
from archc.elaborate.builtins import BUILTINS
from archc.ops.registry import OPS
from archc.resources import library_root

_WORDS = """
    celu crelu elu frelu glu geglu gumbelsoftmax hardshrink hardtanh htanh logsigmoid
    logsoftmax maxout mish prelu reglu rrelu selu smoothrelu snake softmin softplus
    softshrink softsign sparsemax squareplus starrelu swiglu tanhshrink threshold dropblock
    dropconnect featurealphadropout alphadropout gaussiandropout gaussiannoise adain
    batchrenorm evonorm filterresponsenorm frn grn localresponsenorm lrn normalize rmsnorm
    spectralnorm switchablenorm syncbatchnorm syncbn weightnorm weightstandardization
    adaptivemaxpool attentionpool blurpool fractionalmaxpool globalminpool globalsumpool
    lppool maxunpool medianpool minpool powerpool spatialpyramidpool spp stochasticpool
    sumpool deformconv deformableconv depthwiseconv dwconv gatedconv gconv groupconv pconv
    partialconv pointwiseconv pwconv sepconv separableconv attention bilinear bmm
    crossattention dot einsum embedding gru lstm matmul mha mm mlp multiheadattention outer
    rnn scaleddotproductattention selfattention sdpa tensordot transformer arange cdist
    chunk cosinesimilarity cumprod cumsum dstack expand fill flip fold gather
    gridsample hstack indexselect linspace maskedfill movedim narrow onehot
    pairwise permute repeat repeatinterleave roll rot90 scatter select sort split
    squeeze stack swapaxes tile topk transpose tril triu unbind unfold unsqueeze vstack
    where acos acosh addcmul addmm all amin any argmax argmin asin asinh
    atan atan2 atanh channelmin channelstd channelsum channelvar clamp clip cos cosh cross
    diff erf exp expm1 fmax fmin fmod lerp log10 log1p log2 logaddexp logit logsumexp median
    neg negative pow power prod reciprocal remainder rsqrt rsub sin sinc sinh square std tan
    trunc var xlogy zeropad sqrt log floor ceil round
"""
_ELSEWHERE = frozenset(_WORDS.split())
"""Operations that archc has neither by this name nor by another: without case, `_` and `2d`."""


def is_elsewhere(word: str) -> bool:
    """Whether a word is that of an operation of other libraries that archc does not have."""
    return re.sub(r"[123]d$", "", _plain(word)) in _ELSEWHERE


def _plain(word: str) -> str:
    return word.lower().replace("_", "")


def near_name(word: str, names: Collection[str], *, is_applied: bool) -> tuple[str | None, bool]:
    """The name that may have been meant, and whether it alone surely was.

    Where an unknown word `is_applied`, no operator stands for another operation.
    """
    if is_applied and is_elsewhere(word):
        same = [name for name in names if _plain(name) == _plain(word)]
        return (same[0], len(same) == 1) if same else (None, False)
    near = nearest(word, names)
    if near is None:
        return None, False
    built_in = near in OPS or near in BUILTINS
    return near, only_near(word, near, names) and (not built_in or is_misspelt(word, near))


_LEAST = 4
"""Letters of a word; those of fewer are all near each other, as `bn` and `gn`."""


def is_misspelt(word: str, near: str) -> bool:
    """Whether one slip parts two words: a letter inside, two that are exchanged, or case and `_`.

    What is put before or behind a word makes it another one: `hsigmoid`, `relu_`, `atanh`.
    """
    if word.endswith("_") or len(word) < _LEAST:
        return False
    a, b = _plain(word), _plain(near)
    if a == b:
        return True
    if a[0] != b[0] or a[-1] != b[-1]:
        return False
    edits = [
        (a[i:j], b[k:n])
        for tag, i, j, k, n in SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
        if tag != "equal"
    ]
    if len(edits) == 1:
        return all(len(part) <= 1 for part in edits[0])
    return len(a) == len(b) and _is_exchanged(a, b)


def _is_exchanged(a: str, b: str) -> bool:
    """Whether two neighbours have changed places: `cnov`."""
    i, j = ([k for k in range(len(a)) if a[k] != b[k]] + [-1, -1])[:2]
    return j == i + 1 and a[i] == b[j] and a[j] == b[i] and a[j + 1 :] == b[j + 1 :]


# ----------------------------------------------------------- the shipped library

_DECLARED = re.compile(r"^(?:block|net)\s+([A-Za-z]\w*)", re.MULTILINE)


def declaring(name: str, known: set[str]) -> list[str]:
    """The imports that make `name` visible, such as `blocks/residual`; a block's own file alone
    where a net's has another one.

    A file that declares what is known here already would only bring another error.
    """
    paths = [path for path, names in _files() if name in names and names.isdisjoint(known)]
    return [path for path in paths if path.startswith("blocks/")] or paths


def is_same_word(name: str, word: str) -> bool:
    """Whether only case and `_` part two words."""
    return _plain(name) == _plain(word)


_SHORTEST = 3
_MOST_NAMED = 4


def begun(word: str, known: Iterable[str]) -> list[str]:
    """The blocks and nets that are called like a word and more: `ResNet50` for `ResNet`."""
    plain = _plain(word)
    if len(plain) < _SHORTEST:
        return []
    alike = (name for name in known if _plain(name).startswith(plain) and name[0].isupper())
    return sorted(alike, key=_natural)


def family(word: str) -> tuple[str, list[str]] | None:
    """A shipped file, and what is meant by a word that it does not declare: what only case and `_`
    part from the word, else the nets of the spec whose name begins the word."""
    plain = _plain(word)
    files = [(path, names) for path, names in _files() if word not in names]
    for path, names in files:
        same = [name for name in names if is_same_word(name, word)]
        if same:
            return path, same
    named = [(path, names) for path, names in files if plain.startswith(_plain(path))]
    for path, names in sorted(named, key=lambda each: -len(each[0])):
        nets = begun(word, names) or begun(path, names)
        if nets:
            return path, nets
    return None


def enumerated(names: Sequence[str]) -> str:
    """The first of some names, as a help says them."""
    shown = [f"`{name}`" for name in names[:_MOST_NAMED]]
    shown += ["others"] if len(names) > _MOST_NAMED else []
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _natural(name: str) -> list[str]:
    """`ResNet50` before `ResNet101`."""
    return [part.zfill(8) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _files() -> Iterator[tuple[str, set[str]]]:
    """Each file and what it declares, the blocks before the nets; read off the text, unparsed."""
    root = library_root()
    for pattern in ("blocks/*.arch", "*.arch"):
        for file in sorted(root.glob(pattern)):
            names = set(_DECLARED.findall(file.read_text(encoding="utf-8")))
            yield file.relative_to(root).with_suffix("").as_posix(), names

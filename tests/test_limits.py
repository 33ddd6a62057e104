"""All work is counted, whatever does it: small specs that ask for much are refused, at once.

Counts decide, and the limits of the operating system only see to it that what is not counted fails:
512 MiB of memory, and more processor time than a busy machine needs.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.checking import check_spec
from archc.diagnostics import ArchError
from archc.elaborate.files import find_spec, load_program
from archc.elaborate.limits import Budget, Limits
from archc.elaborate.net import elaborate
from archc.ir.dump import hyper_text
from archc.testing.values import program

ROOT = Path(__file__).parents[1]
MEMORY = 512 * 2**20
SECONDS = 60
REFUSED = {"E0901", "E0902", "E0903", "E0904", "E0908"}

CHILD = """
import json, sys
from pathlib import Path
from archc.diagnostics import ArchError
from archc.elaborate.files import load_program
from archc.elaborate.limits import Budget, Limits
from archc.elaborate.net import elaborate

limits = Limits(**json.loads(sys.argv[2]))
for path in sorted(Path(sys.argv[1]).glob("*.arch")):
    budget = Budget(limits)
    codes = []
    try:
        elaborate(load_program(path), budget=budget)
    except ArchError as problem:
        codes = [each.code for each in problem.diagnostics]
        placed = all(each.labels for each in problem.diagnostics)
        codes += [] if placed else ["no place"]
        assert len(str(problem)) < 20_000
    print(json.dumps([path.stem, codes, budget.steps, budget.bytes]), flush=True)
"""


def in_child(folder: Path, **limits: int) -> dict[str, tuple[list[str], int, int]]:
    """The codes, steps and bytes of all specs of a folder, in a process that has few of both."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), json.dumps(limits)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )
    found = {}
    for line in done.stdout.splitlines():
        name, codes, steps, held = json.loads(line)
        found[name] = (codes, steps, held)
    assert done.returncode == 0, (sorted(found), done.stderr[-2000:])
    return found


# ----------------------------------------------------------------- what is hostile

PAIR = "xs = [0] * 20000\nys = [0] * 20000\n"
TEXT = 's = "a" * 9000\nt = "a" * 9000\n'
TENSORS = "ts = [x] * 5000\n"
NESTED = "a = [0] * 900\nb = [0] * 900\n" + "".join(
    f"{name}{i} = [{name}{i - 1 if i else ''}] * 900\n" for name in "ab" for i in range(9)
)
DOUBLED = "a = [0]\nb = [0]\n" + "for k in range(60) {\na = [a, a]\nb = [b, b]\n}\n"
DEEP = "a = [0]\nb = [0]\nfor k in range(9000) {\na = [a]\nb = [b]\n}\n"

IN_A_LOOP = {
    "equal": (PAIR, "v = xs == ys"),
    "unequal": (PAIR, "v = xs != ys"),
    "equal_to_itself_made_anew": (PAIR, "v = xs + [1] == xs + [1]"),
    "nested_equal": (NESTED, "v = a8 == b8"),
    "doubled_equal": (DOUBLED, "v = a == b"),
    "deep_equal": (DEEP, "v = a == b"),
    "nested_in": (NESTED, "v = b7 in a8"),
    "in": (PAIR, "v = 1 in xs"),
    "not_in": (PAIR, "v = 1 not in xs"),
    "list_in": (PAIR, "v = ys in [xs]"),
    "slice": (PAIR, "v = xs[1:]"),
    "slice_backwards": (PAIR, "v = xs[::-1]"),
    "slices_kept": (PAIR + "ts = []\n", "ts += [xs[1:]]"),
    "add": (PAIR, "v = xs + ys"),
    "grow": ("xs = [0]\n", "xs += xs"),
    "times": (PAIR, "v = xs * 2"),
    "times_from_the_left": (PAIR, "v = 2 * xs"),
    "element": (PAIR, "xs[i] = 1"),
    "bind": (PAIR, "v = xs"),
    "len_of_what_is_made": (PAIR, "v = len(xs + ys)"),
    "sum": (PAIR, "v = sum(xs)"),
    "min": (PAIR, "v = min(xs)"),
    "max": (PAIR, "v = max(xs)"),
    "reversed": (PAIR, "v = reversed(xs)"),
    "enumerate": (PAIR, "v = enumerate(xs)"),
    "zip": (PAIR, "v = zip(xs, ys, xs, ys)"),
    "range": ("", "v = range(20000)"),
    "long_range": ("", "v = len(range(10 ** 15))"),
    "display": ("", f"v = [{', '.join('0' * 1000)}]"),
    "tuple": ("", f"v = ({', '.join('0' * 1000)})"),
    "comprehension": (PAIR, "v = [w for w in xs]"),
    "comprehension_of_nothing": (PAIR, "v = [w for w in xs if w > 0]"),
    "loop": (PAIR, "for w in xs { v = w }"),
    "loop_of_nothing": ("", "for j in range(i) { }"),
    "text_equal": (TEXT, "v = s == t"),
    "text_less": (TEXT, "v = s < t"),
    "text_in": (TEXT, 'v = "b" in s'),
    "text_add": ('s = "a" * 4000\n', "v = s + s"),
    "text_times": ("", 'v = "ab" * 4000'),
    "text_slice": (TEXT, "v = s[1:]"),
    "text_holes": ('s = "a" * 900\n', 'v = "{s}{s}{s}{s}{s}{s}{s}{s}"'),
    "text_doubled": ('s = "ab"\n', 's = "{s}{s}"'),
    "text_of_texts": ('s = "a" * 900\nts = [s] * 900\n', "v = [t + t for t in ts]"),
    "arithmetic": ("v = 0\n", "v = v + i"),
    "power": ("", "v = 2 ** 52 - 1.5 ** 99"),
    "choice": ("", "v = 1 if i > 2 and i < 5 or not (i == 7) else 2"),
    "unknown_in_a_loop": (PAIR, "v = xs[i + 30000]"),
    "mistakes_of_labels": ("", "y = x -> c: conv(4, 1)"),
    "mistakes_with_long_lists": (PAIR, "v = x -> conv(8, xs)"),
    "layers": ("", "v = conv(8, 3)"),
    "operators": ("", "x = x -> relu"),
    "operands": (TENSORS, "y = sum(ts)"),
    "operands_of_a_block": (TENSORS, "y = ts -> Several"),
    "exits": ("", 'exit "e{i}": x'),
    "scopes": ("", 'scope "s{i}" { y = x }'),
    "blocks_of_nothing": ("", "x = x -> Nothing"),
    "blocks_with_lists": (PAIR, "x = x -> Listed(xs)"),
    "blocks_with_nested_lists": (NESTED, "x = x -> Listed(a8)"),
    "blocks_with_doubled_lists": (DOUBLED, "x = x -> Listed(a)"),
    "blocks_with_deep_lists": (DEEP, "x = x -> Listed(a)"),
    "defaults": ("", "x = x -> Default"),
    "extern_with_nested_lists": (NESTED, "x = x -> Own(a8)"),
    "extern_with_doubled_lists": (DOUBLED, "x = x -> Own(a)"),
    "branches_not_taken": ("", "if i < 0 { " + "\n".join(f"v{j} = i" for j in range(500)) + " }"),
    "recursion": ("", "x = x -> Twice(40)"),
}
BLOCKS = """
extern layer Own(v): [C, *S] -> [C, *S] from "mine:Own"
block Nothing()(x) { return x }
block Several()(*xs) { return xs[0] }
block Listed(v)(x) { return x }
block Default(v=[i for i in range(9000)])(x) { return x }
block Twice(n)(x) {
    if n > 0 { x = x -> l: Twice(n - 1) -> r: Twice(n - 1) }
    return x
}
"""


def spec(setup: str, line: str) -> str:
    body = f"{setup}for turn in range(900) {{\nfor i in range(900) {{\n{line}\n}}\n}}\n"
    return f"{BLOCKS}net N(classes=10)(x: [3, 8, 8]) {{\n{body}return x\n}}\n"


def test_every_operation_counts_what_it_does(tmp_path: Path) -> None:
    """A tenth of the default limits, so that the processor's limit is ten times too generous."""
    for name, (setup, line) in IN_A_LOOP.items():
        (tmp_path / f"{name}.arch").write_text(spec(setup, line))
    limits = Limits(nodes=3_000, steps=200_000, bytes=2**23)
    found = in_child(tmp_path, nodes=limits.nodes, steps=limits.steps, bytes=limits.bytes)
    assert found.keys() == IN_A_LOOP.keys()
    for name, (codes, _, _) in found.items():
        assert codes, f"{name} is not refused"
        assert codes[-1] in REFUSED, (name, codes)


def test_a_long_list_is_counted_where_an_operator_refuses_it(tmp_path: Path) -> None:
    path = tmp_path / "list.arch"
    path.write_text("net N()(x: [3, 8, 8]) {\n    return x -> conv(8, [0] * 20000)\n}\n")
    budget = Budget(Limits())
    with pytest.raises(ArchError, match="E0211"):
        elaborate(load_program(path), budget=budget)
    assert budget.steps > 2 * 20_000, "it is made, and looked at"


# The files that ran for ever, or filled the memory, when only operators and turns were counted.
FIELD = {
    "eq_loop": "xs = [0] * 300000\nys = [0] * 300000\nfor i in range(190000) { b = xs == ys }\n"
    'assert b, "x"\n',
    "rec_empty": "x = x -> a: Twice(40)\n",
    "slice_mem": "xs = [0] * 900000\nts = []\nfor i in range(400) { ts += [xs[1:]] }\n"
    'assert len(ts) > 0, "x"\n',
    "str_holes": 's = "ab"\nfor i in range(40) { s = "{s}{s}" }\nn = len(s)\nassert n > 0, "x"\n',
}


def test_the_default_limits_end_all_work_in_little_memory(tmp_path: Path) -> None:
    for name, body in FIELD.items():
        text = f"{BLOCKS}net N(classes=10)(x: [3, 8, 8]) {{\n{body}return x -> c: conv(4, 1)\n}}\n"
        (tmp_path / f"{name}.arch").write_text(text)
    found = in_child(tmp_path)
    assert found.pop("rec_empty")[0] == ["E0901"]
    for codes, steps, held in found.values():
        assert codes[-1] in {"E0902", "E0908"}
        assert steps < 2 * Limits().steps
        assert held < 2 * Limits().bytes


@pytest.mark.parametrize(
    ("line", "name", "limit"),
    [
        ("x = x -> Nothing", "blocks", 50),
        ("x = x -> Twice(40)", "blocks", 50),
        ("v = conv(8, 3)", "layers", 70),
        ("v = [Nothing() for k in range(9)]", "layers", 70),
    ],
)
def test_what_has_no_operator_is_counted_too(
    line: str, name: str, limit: int, tmp_path: Path
) -> None:
    """A layer that is never applied, and a block that makes nothing, are kept all the same."""
    path = tmp_path / "net.arch"
    path.write_text(spec("", line) + "net M = N(classes=2)\n")
    budget = Budget(Limits(**{name: limit}))
    with pytest.raises(ArchError) as caught:
        elaborate(load_program(path), budget=budget)
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.help) == ("E0901", f"raise it with `--limit {name}=N`")
    assert getattr(budget, name) == limit + 1
    assert not budget.nodes
    (only,) = [each for each in check_spec(path, budget.limits) if each.severity == "error"]
    assert only.code == "E0901", "the other net is not begun"


def test_the_nets_of_a_file_share_the_steps(tmp_path: Path) -> None:
    """`archc check` compiles each of them."""
    path = tmp_path / "variants.arch"
    body = "n = 0\nfor i in range(9000) { n = n + i }\nassert n > 0, 'x'".replace("'", '"')
    text = f"net N(classes=10)(x: [3, 8, 8]) {{\n{body}\nreturn x -> relu\n}}\n"
    path.write_text(text + "".join(f"net N{i} = N(classes={i + 1})\n" for i in range(90)))
    limits = Limits(steps=200_000)
    (only,) = [each for each in check_spec(path, limits) if each.severity == "error"]
    assert only.code == "E0902"
    assert elaborate(load_program(path), "N89", budget=Budget(limits)).graph


def test_files_are_read_up_to_a_size_in_all(tmp_path: Path) -> None:
    for i in range(9):
        (tmp_path / f"part{i}.arch").write_text("# much\n" * 30_000)
    imports = "".join(f'import "part{i}"\n' for i in range(9))
    path = tmp_path / "main.arch"
    path.write_text(f"{imports}net N()(x: [3, 8, 8]) {{ return x }}\n")
    with pytest.raises(ArchError, match="E0907"):
        load_program(path)


def test_a_mistake_before_the_limit_is_said_too(tmp_path: Path) -> None:
    path = tmp_path / "mistake.arch"
    path.write_text(spec("", "v = i + x.wdth"))
    (tmp_path / "other.arch").write_text(spec("v = 1 + true\n", IN_A_LOOP["equal"][1]))
    codes, _, _ = in_child(tmp_path, steps=100_000)["mistake"]
    assert codes == ["E0212", "E0902"]


@pytest.mark.parametrize(
    ("body", "before"),
    [
        ("x = x -> relu", 0),
        ('y = 8\nx = x -> "c{i}": conv(y, 3) -> "b{i}": bn', 0),
        ("for j in range(200) { x = x -> relu -> bn }", 0),
        ("if i > 2 { x = x -> relu }", 1000),
        ("relu = identity\nx = x -> relu", 1000),
    ],
)
def test_operators_are_counted_before_they_are_built(
    body: str, before: int, tmp_path: Path
) -> None:
    """Where a loop certainly applies more than there may be, none is built."""
    path = tmp_path / "loop.arch"
    path.write_text(
        f"net N()(x: [8, 8, 8]) {{\nfor i in range(2000) {{\n{body}\n}}\nreturn x\n}}\n"
    )
    budget = Budget(Limits(nodes=1000 if before else 100))
    with pytest.raises(ArchError) as caught:
        elaborate(load_program(path), budget=budget)
    assert caught.value.diagnostics[-1].code == "E0901"
    assert budget.nodes == before


def test_a_loop_that_returns_is_not_counted_in_advance(tmp_path: Path) -> None:
    path = tmp_path / "loop.arch"
    body = "x = x -> relu\nif i > 2 { return x }"
    path.write_text(
        f"net N()(x: [8, 8, 8]) {{\nfor i in range(2000) {{\n{body}\n}}\nreturn x\n}}\n"
    )
    assert elaborate(load_program(path), budget=Budget(Limits(nodes=1000))).graph


SMALL = Limits(nodes=1_000, steps=50_000, bytes=2**21)
BUSY = 5.0
"""Seconds of processor time for a fortieth of the steps: a hundred times what they take."""


@pytest.mark.parametrize(
    "examples", [pytest.param(50, id="few"), pytest.param(5_000, id="many", marks=pytest.mark.full)]
)
def test_every_small_program_ends_within_its_steps(examples: int, tmp_path: Path) -> None:
    """What is refused was not done: the steps beyond the limit are those of one operation."""
    path = tmp_path / "program.arch"

    @settings(max_examples=examples, deadline=None)
    @given(st.randoms(use_true_random=False))
    def ends(rng: Random) -> None:
        path.write_text(program(rng))
        budget = Budget(SMALL)
        start = time.process_time()
        try:
            elaborate(load_program(path), budget=budget)
        except ArchError as problem:
            codes = {each.code for each in problem.diagnostics}
            assert budget.affords() or codes & {"E0901", "E0902", "E0908"}
            assert len(str(problem)) < 20_000
        else:
            assert budget.affords()
        assert time.process_time() - start < BUSY

    ends()


# ----------------------------------------------------------------- what is shipped

FACTS: list[dict[str, Any]] = json.loads((ROOT / "tests/reference_facts.json").read_text("utf-8"))


def _text(value: Any) -> str:
    return hyper_text(tuple(value) if isinstance(value, list) else value)


DEEPEST: list[tuple[str, str, dict[str, Any]]] = [
    ("preact_resnet_cifar", "PreActResNet1001", {}),
    ("resnet_cifar", "ResNet", {"depth": 1202, "bias": True}),
    ("densenet_cifar", "DenseNetBC", {"depth": 250, "growth": 24}),
    ("msdnet", "MSDNetStep7", {}),
]


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.full)])
def test_shipped_specs_take_less_than_a_tenth_of_the_limits(every: bool) -> None:
    """The first net of each, and the deepest of all; in long runs all nets, and all settings that
    are compared with the originals."""
    nets: list[tuple[str, str, dict[str, Any]]] = [
        (path.stem, net.name.name, {})
        for path in sorted((ROOT / "specs").glob("*.arch"))
        for net in load_program(path).nets[: None if every else 1]
    ]
    facts = [(fact["spec"], fact["net"], fact["settings"]) for fact in FACTS if fact["settings"]]
    nets += facts if every else DEEPEST
    limits = Limits()
    for name, net, chosen in nets:
        budget = Budget(limits)
        given = {key: _text(value) for key, value in chosen.items()}
        elaborate(load_program(find_spec(name)), net, given, budget)
        assert budget.steps < limits.steps / 10, (name, net, chosen)
        assert budget.bytes < limits.bytes / 10, (name, net, chosen)
        assert budget.layers < limits.layers / 10, (name, net, chosen)
        assert budget.blocks < limits.blocks / 10, (name, net, chosen)

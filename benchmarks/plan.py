"""`archc plan` beside measurement: bytes kept, and at the peak, of shipped and generated nets.

    python benchmarks/plan.py               # prints a table, writes results/plan.json
    python benchmarks/plan.py nin hardnet   # these specs only, not written

Measured are the events of torch's allocator on a CPU with one thread, batch 2, above
parameters, their gradients, buffers and inputs; but not what one operator takes and gives back
(see tests/allocations.py). The tests assert the same numbers: `pytest --full tests/test_plan.py`.
"""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from emitted import SHIPPED
from planned import (
    BATCH,
    MODES,
    OPERATORS,
    Compared,
    Mode,
    compare_generated,
    compare_shipped,
    generated,
)

RESULTS = Path(__file__).parent / "results" / "plan.json"
GENERATED = max(50, len(OPERATORS))


def shipped(specs: list[str]) -> Iterator[tuple[str, str, Compared]]:
    """The first net of each spec in all modes, the others as they are trained by default."""
    for spec in specs:
        first, *others = SHIPPED[spec]
        for name, mode in [*MODES.items(), ("bfloat16", Mode(dtype="bfloat16"))]:
            yield f"{spec} {first}", name, compare_shipped(spec, mode)
        for net in others:
            yield f"{spec} {net}", "keep", compare_shipped(spec, MODES["keep"], net)


def drawn() -> Iterator[tuple[str, str, Compared]]:
    """Generated nets in all modes."""
    for number in range(GENERATED):
        spec = generated(number)
        with tempfile.TemporaryDirectory() as folder:
            for name, mode in MODES.items():
                yield f"generated {number}", name, compare_generated(spec, mode, Path(folder))


def row(net: str, mode: str, compared: Compared) -> dict[str, Any]:
    """One line of the table."""
    saved, peak = (
        dict(zip(("planned", "measured"), pair, strict=True))
        for pair in zip(compared.planned, compared.measured, strict=True)
    )
    ratios = [round(ratio, 4) for ratio in compared.ratios]
    print(
        f"{net:<42}{mode:<11}",
        *(f"{n:>14,}" for n in (*saved.values(), *peak.values())),
        *(f"{ratio:8.4f}" for ratio in ratios),
        flush=True,
    )
    return {"net": net, "mode": mode, "saved": saved, "peak": peak, "ratios": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("specs", nargs="*", choices=[*SHIPPED, []], help="shipped specs; all")
    specs = parser.parse_args().specs
    torch.set_num_threads(1)
    rows = [row(*each) for each in shipped(specs or list(SHIPPED))]
    if specs:
        return
    rows += [row(*each) for each in drawn()]
    worst = max(abs(ratio - 1) for each in rows for ratio in each["ratios"])
    exact = sum(each["ratios"] == [1.0, 1.0] for each in rows)
    print(f"{len(rows)} rows, {exact} of them equal; the worst is off by {100 * worst:.2f} %")
    machine = {"system": platform.system(), "machine": platform.machine()}
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {**machine, "python": platform.python_version(), "torch": torch.__version__},
        "unit": "bytes",
        "batch": BATCH,
        "threads": 1,
        "rows": [],
    }
    lines = ",\n    ".join(map(json.dumps, rows))  # a row of the table is one of the file
    text = json.dumps(results, indent=2).replace("[]", f"[\n    {lines}\n  ]")
    RESULTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

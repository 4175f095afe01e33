"""`quipu demo --once`, as somebody's first minute with it: in a process of its own, over a small world."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_tells_a_ring_from_an_ordinary_transaction(tmp_path: Path) -> None:
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "cli.main", "demo", "--once", "--folder", str(tmp_path / "demo")),
            *("--users", "1500", "--days", "60", "--port", "0"),
        ],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("QUIPU_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    decisions = re.findall(
        r"^(An ordinary transaction|A transaction of a ring that the model never saw) \(\S+ [\d,.]+\)\n"
        r"  (approve|review|block), probability of fraud (?:below )?([\d.]+)%\n((?:  - .+\n)+)",
        ran.stdout,
        re.M,
    )
    assert [title.split()[:2] for title, *_ in decisions] == [["An", "ordinary"], ["A", "transaction"]], ran.stdout
    (_, ordinary_band, ordinary, _), (_, ring_band, ring, _) = decisions
    assert float(ring) > float(ordinary)
    assert ordinary_band == "approve"
    assert ring_band in ("review", "block")
    assert "goes on at" not in ran.stdout
    for step in range(1, 5):  # progress is told all along
        assert f"{step} of 4: " in ran.stderr
    assert (tmp_path / "demo" / "models" / "CURRENT").is_file()

"""Where compiled code is kept."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ASK = "from graph.compiled import cache_folder; print(cache_folder())"


def asked(root: Path, cache: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=root, env={"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(root)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return Path(done.stdout.strip())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources, as an upgrade would change them."""
    for package in ("graph", "gnn"):
        shutil.copytree(ROOT / package, tmp_path / "tree" / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "tree"


def test_another_file_s_change_starts_a_new_folder(tree: Path, tmp_path: Path) -> None:
    before = asked(tree, tmp_path / "cache")
    assert before == asked(tree, tmp_path / "cache")
    assert before.parent == tmp_path / "cache"
    ego = tree / "graph" / "ego.py"
    ego.write_text(ego.read_text() + "\n# changed\n")
    assert asked(tree, tmp_path / "cache") != before


def test_folders_of_many_upgrades_do_not_pile_up(tree: Path, tmp_path: Path) -> None:
    ego = tree / "graph" / "ego.py"
    strangers = [tmp_path / "cache" / name for name in ("my-16-long-names", "0123456789ABCDEF")]
    for folder in strangers:
        folder.mkdir(parents=True)
    for number in range(7):
        ego.write_text(ego.read_text() + f"# {number}\n")
        asked(tree, tmp_path / "cache")
    left = set((tmp_path / "cache").iterdir())
    assert left >= set(strangers)
    assert len(left) <= 5 + len(strangers)


def test_a_folder_that_cannot_be_made_stops_nobody(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert asked(tree, tmp_path / "file").parent == tmp_path / "file"

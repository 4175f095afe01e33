"""The packages of loading depend on each other in one direction, whatever their modules do."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ETL = Path(__file__).resolve().parents[2] / "etl"


def imported(path: Path) -> set[str]:
    """The packages of `etl` that a file imports, at the top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "etl":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("etl."):
            found.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("etl.")}
    return found


def test_packages_depend_on_each_other_in_one_direction() -> None:
    folders = [path for path in ETL.iterdir() if (path / "__init__.py").exists()]
    packages = {
        folder.name: set[str]().union(*map(imported, folder.rglob("*.py"))) - {folder.name} for folder in folders
    }
    assert len(packages) > 5
    order = list(TopologicalSorter(packages).static_order())
    assert set(order) == set(packages), "only packages lie in etl"

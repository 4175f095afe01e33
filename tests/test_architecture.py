"""The arrows between the parts point one way, and heavy libraries stay in the few files that own them."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT: dict[str, set[str]] = {
    "graph": set(),
    "etl": {"graph"},
    "gnn": {"graph"},
    "api": {"gnn", "graph"},
    "dags": {"api", "cli", "etl", "gnn", "graph"},
    "cli": {"api", "dags", "etl", "gnn", "graph"},
}
"""What each package may import of the others. Tests and benchmarks may import everything."""

TF_FILES = ("gnn/layers.py", "gnn/model.py", "gnn/train_gnn.py", "gnn/export.py", "gnn/plain_network.py")
TRAINING_LIBRARIES = {
    "tensorflow": TF_FILES,
    "tensorflow_gnn": TF_FILES,
    "tf_keras": TF_FILES,
    "tf2onnx": TF_FILES,
    "onnx": TF_FILES,
    "lightgbm": ("gnn/growing.py", "gnn/standard_models.py"),
    "sklearn": (
        "gnn/anomaly.py",
        "gnn/calibration.py",
        "gnn/companions.py",
        "gnn/head.py",
        "gnn/metrics.py",
        "gnn/oversampling.py",
        "gnn/standard_models.py",
        "gnn/train_gnn.py",
    ),
}
ETL_LIBRARIES = {
    "pandera": ("etl/contract/schema.py",),
    "sqlalchemy": ("etl/sources/*.py", "etl/guessing/sources.py"),
    "pg8000": ("etl/sources/*.py",),
    "faker": ("etl/simulator/*.py",),
    "matplotlib": ("gnn/report.py", "gnn/plots.py", "etl/reporting/plots.py"),
}
OWNERS: dict[str, tuple[str, ...]] = {
    **TRAINING_LIBRARIES,
    **ETL_LIBRARIES,
    "airflow": ("dags/*.py",),
    "apache_beam": (),
    "neo4j": ("graph/neo4j_*.py",),
    "fastapi": ("api/*.py",),
    "starlette": ("api/*.py",),
    "typer": ("cli/*.py",),
    "rich": ("cli/*.py",),
}
"""Files that may import a library, at the top or inside a function."""

FRAMEWORK_FREE = ("api/engine.py", "api/spool.py")
"""The scoring path of the service: usable and testable without the web framework."""

NOT_IN_SCORING = {*TRAINING_LIBRARIES, *ETL_LIBRARIES, "keras", "airflow", "apache_beam"}
NOT_IN_HELP = {*NOT_IN_SCORING, "numpy", "pandas", "pyarrow", "numba", "onnxruntime", "fastapi", "uvicorn"}
LONGEST_MODULE = 450


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, where, and whether importing the file imports it too."""

    module: str
    line: int
    at_import_time: bool


def files() -> list[Path]:
    return sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(dotted: str) -> bool:
    place = ROOT.joinpath(*dotted.split("."))
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


@cache
def imports(path: Path) -> tuple[Import, ...]:
    return tuple(_imports(ast.parse(path.read_text(), filename=str(path)), path, at_import_time=True))


def _imports(node: ast.AST, path: Path, *, at_import_time: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        )
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, at_import_time) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (Import(module, child.lineno, at_import_time) for module in _from(child, path))
        else:
            yield from _imports(child, path, at_import_time=at_import_time and not later)


def _from(node: ast.ImportFrom, path: Path) -> Iterator[str]:
    base = node.module or ""
    if node.level:
        package = module_of(path).split(".") if path.name == "__init__.py" else module_of(path).split(".")[:-1]
        base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
    for alias in node.names:
        inner = f"{base}.{alias.name}"
        yield inner if is_module(inner) else base


def top(module: str) -> str:
    return module.partition(".")[0]


def test_arrows_between_packages_point_one_way() -> None:
    wrong = [
        f"{name(path)}:{found.line} imports {found.module}"
        for path in files()
        for found in imports(path)
        if top(found.module) in MAY_IMPORT.keys() - {top(module_of(path))} - MAY_IMPORT[top(module_of(path))]
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_imports_tests_or_benchmarks() -> None:
    wrong = [name(path) for path in files() if any(top(found.module) in {"tests", "bench"} for found in imports(path))]
    assert not wrong, wrong


def test_no_cycles_at_import_time() -> None:
    known = {module_of(path) for path in files()}
    arrows = {
        module_of(path): {found.module for found in imports(path) if found.at_import_time and found.module in known}
        for path in files()
    }
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(f"imported in a ring: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("library", OWNERS)
def test_a_heavy_library_is_imported_only_by_its_owners(library: str) -> None:
    wrong = [
        f"{name(path)}:{found.line}"
        for path in files()
        for found in imports(path)
        if top(found.module) == library and not any(fnmatch(name(path), owner) for owner in OWNERS[library])
    ]
    assert not wrong, f"{library} belongs in {OWNERS[library]}, and is imported at {wrong}"


@pytest.mark.parametrize("file", FRAMEWORK_FREE)
def test_the_scoring_path_is_free_of_the_web_framework(file: str) -> None:
    assert not {top(found.module) for found in imports(ROOT / file)} & {"fastapi", "starlette", "uvicorn"}


def test_modules_are_short() -> None:
    lengths = {name(path): path.read_text().count("\n") for path in files()}
    long = {file: length for file, length in lengths.items() if length > LONGEST_MODULE}
    assert not long


def test_every_folder_of_code_is_installed() -> None:
    installed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {module_of(path / "__init__.py") for path in {file.parent for file in files()}}
    assert folders - {"dags"} == set(installed)


def loaded_by(*modules: str) -> set[str]:
    """The top-level names that a fresh interpreter has loaded once it has imported these modules."""
    code = f"import sys\n{''.join(f'import {m}{chr(10)}' for m in modules)}print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {top(module) for module in done.stdout.split()}


def test_scoring_loads_nothing_of_training() -> None:
    heavy = loaded_by("api.app", "gnn.scorer", "gnn.embeddings", "graph.index") & NOT_IN_SCORING
    assert not heavy


def test_help_loads_nothing_heavy() -> None:
    commands = [module_of(path) for path in files() if top(module_of(path)) == "cli" and path.name != "__init__.py"]
    heavy = loaded_by(*commands) & NOT_IN_HELP
    assert not heavy

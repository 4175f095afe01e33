"""From patterns to files: names, globs, and folders with everything readable in them."""

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from etl.sources import compressed
from graph.errors import InputError

CSV = {".csv", ".tsv", ".txt"}
JSON = {".jsonl", ".ndjson", ".json"}
PARQUET = {".parquet", ".pq"}


def expand(patterns: Sequence[str], folder: Path) -> list[Path]:
    """The files that patterns name, sorted within each, none twice.

    A relative pattern holds from `folder`; where it matches nothing there, from the current directory. Of a folder it
    is all files inside, at any depth, whose names say that they can be read. What globs and folders find leaves out
    names that begin with a dot or an underscore (`_SUCCESS`).

    Raises:
        InputError: a pattern matches no file.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        matched = _matches(pattern, folder) or _matches(pattern, Path())
        if not matched:
            inside = " that can be read" if (folder / pattern).is_dir() or Path(pattern).is_dir() else ""
            raise InputError(
                f"no file{inside} matches {pattern!r}",
                hint=f"it was looked for in {folder.resolve()} and {Path.cwd()}",
            )
        found.update(dict.fromkeys(matched))
    return list(found)


def _matches(pattern: str, folder: Path) -> list[Path]:
    named = folder / pattern
    if named.is_file():
        return [named]
    if named.is_dir():
        return sorted(_inside(named))
    # The folder is a name, whatever signs are in it; only the pattern is a pattern.
    full = Path(glob.escape(str(folder))) / pattern
    matched = map(Path, glob.glob(str(full), recursive=True))  # noqa: PTH207 (Path.glob refuses absolute patterns)
    found: set[Path] = set()
    written = {*folder.parts, *Path(pattern).parts}
    for path in matched:
        if not any(map(_hidden, set(path.parts) - written)):
            found.update(_inside(path) if path.is_dir() and "**" not in pattern else [path] if path.is_file() else [])
    return sorted(found)


def _inside(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if _hidden(path.name):
            continue
        if path.is_dir():
            yield from _inside(path)
        elif _suffix(path) in CSV | JSON | PARQUET:
            yield path


def _hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _suffix(path: Path) -> str:
    """What the name says, without a look inside."""
    suffix = path.suffix.lower()
    if suffix not in compressed.SUFFIXES:
        return suffix
    inner = Path(path.stem).suffix.lower()
    return inner or (".csv" if suffix == ".zip" else "")

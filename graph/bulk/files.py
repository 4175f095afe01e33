"""Files of an import: for each kind of node or relationship a header and rows, and the arguments that name them all."""

import csv
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from graph.errors import InputError

ARGUMENTS = "import.args"
_OPTIONS = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")


class Rows:
    """One file of rows that is being written."""

    def __init__(self, path: Path, fields: Sequence[str]) -> None:
        self.path = path
        self.count = 0
        self.multiline = False
        self._fields = fields
        self._types: list[pa.DataType] | None = None
        self._sink = path.open("wb")

    def write(self, columns: Sequence[pa.Array]) -> None:
        """Appends rows: a column a field of the header."""
        table = pa.table(list(columns), names=list(self._fields))
        for column in table.columns:
            if not self.multiline and pa.types.is_string(column.type):
                self.multiline = bool(pc.any(pc.match_substring_regex(column, "[\r\n]")).as_py())
        arrow_csv.write_csv(table, self._sink, _OPTIONS)
        self.count += table.num_rows

    def close(self) -> None:
        self._sink.close()


class ImportFiles:
    """The folder of an import. Leaving it without an error writes the arguments, so a folder that has them is whole.

    Args:
        folder: made where it is not there.

    Raises:
        InputError: the folder holds something already.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(f"the folder {folder} is not empty", hint="name a new one, or empty it")
        self.folder = folder.resolve()
        self._arguments: list[str] = []
        self._rows: list[Rows] = []
        self._open = ExitStack()

    def __enter__(self) -> "ImportFiles":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        if kind is None:
            self._finish()

    def nodes(self, label: str, fields: dict[str, str]) -> Rows:
        """Nodes with a label (more than one: colons between). `fields`: type by name of property, as the tool
        writes them; a name that is empty is no property."""
        return self._add("--nodes", label, fields)

    def relationships(self, kind: str, fields: dict[str, str]) -> Rows:
        """Relationships of a type."""
        return self._add("--relationships", kind, fields)

    @property
    def counts(self) -> dict[str, int]:
        """Rows by file."""
        return {rows.path.stem: rows.count for rows in self._rows}

    def _add(self, option: str, name: str, fields: dict[str, str]) -> Rows:
        for text in (name, *(field for field in fields if not field.startswith(":"))):
            if not text or any(c in text for c in ":{}\";,='`\\\n\r\t") or text != text.strip():
                raise InputError(f"the name {text!r} cannot stand in an import's files", hint="use quipu graph copy")
        stem = f"{len(self._rows):03}-{'nodes' if option == '--nodes' else 'links'}"
        header = self.folder / f"{stem}-header.csv"
        with header.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerow([f if f.startswith(":") else f"{f}:{kind}" for f, kind in fields.items()])
        rows = Rows(self.folder / f"{stem}.csv", list(fields))
        self._open.callback(rows.close)
        self._rows.append(rows)
        self._arguments.append(f"{option}={name}={header},{rows.path}")
        return rows

    def _finish(self) -> None:
        lines = ["--id-type=integer", "--strict=true", "--bad-tolerance=0"]
        if any(rows.multiline for rows in self._rows):
            lines.append("--multiline-fields=true")
        lines += self._arguments
        text = "\n".join(_quoted(line) for line in lines) + "\n"
        (self.folder / ARGUMENTS).write_text(text, encoding="utf-8")


def _quoted(line: str) -> str:
    return line if not any(c in line for c in " \"'#\\") else json.dumps(line, ensure_ascii=False)


def constant(value: Any, count: int) -> pa.Array:
    """A column of one value."""
    return pa.repeat(value, count)

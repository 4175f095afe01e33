"""Lines of CSV files that are no rows any more."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from etl.contract.reasons import Reason
from etl.simulator.mess.kinds import Fate
from etl.simulator.mess.notes import Notes
from etl.simulator.mess.spelling import array
from etl.simulator.settings import stream


def break_lines(path: Path, damaged: pa.Table, share: float, seed: int) -> pa.Table:
    """Breaks lines of a messy CSV file: fields too few or too many, quotes that stray.

    Only lines that are whole until now, of transactions without any damage, so that each is refused as a broken row.

    Args:
        path: the file, one line a row below its header; it is replaced.
        damaged: the damage so far (`DAMAGE`).
        share: of the rows to break.
        seed: of the choice.

    Returns:
        All damage, that of the lines included; column and value before are those of the whole line.
    """
    rng = stream(seed, "broken lines")
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = file.readlines()
    touched = np.zeros(len(lines), np.bool_)
    touched[damaged["row"].to_numpy()] = True
    ids = [line.partition(",")[0].strip('"') for line in lines]
    again = set(damaged["transaction_id"].to_pylist())
    whole = np.array([row for row in np.flatnonzero(~touched).tolist() if ids[row] not in again], np.int64)
    chosen = np.sort(rng.choice(whole, min(round(share * len(lines)), len(whole)), replace=False))
    notes = Notes()
    before, after = [lines[row].rstrip("\r\n") for row in chosen.tolist()], []
    for line, how in zip(before, rng.integers(0, len(_BREAKS), len(chosen)).tolist(), strict=True):
        after.append(_BREAKS[how](line))
    for row, line in zip(chosen.tolist(), after, strict=True):
        lines[row] = f"{line}\n"
    part = path.with_suffix(".part")
    part.write_text("".join([header, *lines]), encoding="utf-8", newline="")
    part.replace(path)
    notes.add(
        ids=[ids[row] for row in chosen.tolist()], rows=chosen, column="", kind="broken_line",
        fate=Fate.QUARANTINED, reason=Reason.BROKEN_ROW, original=array(before), damaged=array(after),
    )  # fmt: skip
    return pa.concat_tables([damaged, notes.table(np.arange(len(lines)))]).sort_by("row")


def _cut(line: str) -> str:
    return line.rpartition(",")[0]


def _lengthen(line: str) -> str:
    return f"{line},extra,"


def _stray_quote(line: str) -> str:
    """A quote that opens in the middle of the second field, and one in a quoted field that closes nothing."""
    first, comma, rest = line.partition(",")
    return f'{first}{comma}"{rest[:4].strip(chr(34))}"{rest[4:]}'


def _open_quote(line: str) -> str:
    """The first field's quote never closes."""
    return '"' + line.replace('"', "")


_BREAKS = (_cut, _lengthen, _stray_quote, _open_quote)

"""Whether what a refresh made of the graph can be built on, and up to which moment the graph has passed so far."""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graph.errors import NotYet, QualityError, StoreError
from graph.invariants import Checked, check
from graph.progress import Progress
from graph.ring_json import iso
from graph.store import Store

_MARK = "graph-refreshed.json"
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Passed:
    """What was checked of a refresh.

    Attributes:
        invariants: how many invariants of the store were looked at.
        disturbed: names of those that could not be judged, since the store was written to all the while.
    """

    invariants: int
    disturbed: tuple[str, ...] = ()


def check_refresh(
    store: Store, loaded: Mapping[str, Any], *, quarantine_limit: float, progress: Progress | None = None
) -> Passed:
    """Checks a refresh: its rows are there, few of them were refused, and what must be true of a store is.

    Args:
        store: as the refresh left it.
        loaded: what `etl.loading.interval.load_interval` returned.
        quarantine_limit: share of the rows read that may have been quarantined.

    Raises:
        QualityError: a check fails; the message names each with its figures.
        StoreError: the store cannot be read.
    """
    wrong = [*_rows(loaded, quarantine_limit), *_grown(loaded["before"], loaded["after"], loaded["loaded"])]
    wrong += _grown(loaded["after"], store.status(), 0)
    broken, looked_at, disturbed = _invariants(store, progress)
    wrong += [f"{c.name}: {c.wrong:,} of {c.looked_at:,} are not so, for instance {c.examples[0]}" for c in broken]
    if wrong:
        raise QualityError(
            "the refreshed graph does not pass its checks: " + "; ".join(wrong),
            hint="look at the report of the load and at `quipu graph status`; nothing was built on this refresh",
        )
    return Passed(looked_at, disturbed)


def _rows(loaded: Mapping[str, Any], limit: float) -> list[str]:
    read, refused = loaded["read"], loaded["quarantined"]
    if read and refused > limit * read:
        return [f"{refused:,} of {read:,} rows ({refused / read:.1%}) were quarantined, more than {limit:.1%}"]
    return []


def _grown(before: Mapping[str, int], after: Mapping[str, int], transactions: int) -> list[str]:
    """What became fewer, and whether transactions grew by as many as were loaded (others may have written too)."""
    wrong = [
        f"there are {after.get(name, 0):,} {name}, and were {count:,}"
        for name, count in before.items()
        if after.get(name, 0) < count
    ]
    grown = after.get("transactions", 0) - before.get("transactions", 0)
    if 0 <= grown < transactions:
        wrong.append(f"{transactions:,} transactions were loaded, but there are only {grown:,} more")
    return wrong


def _invariants(store: Store, progress: Progress | None) -> tuple[list[Checked], int, tuple[str, ...]]:
    """Invariants that do not hold, how many were looked at, and those that writers kept from being judged.

    What is read while somebody writes may be of two moments, so what fails then is looked at again.
    """
    suspects: set[str] | None = None
    for _ in range(_ATTEMPTS):
        mark = store.watermark()
        found = check(store, progress=progress)
        broken = [c for c in found if not c.holds and (suspects is None or c.name in suspects)]
        suspects = {c.name for c in broken}
        if not broken or store.watermark() == mark:
            return broken, len(found), ()
    return [], len(found), tuple(sorted(suspects or ()))


def mark_refreshed(var: Path, until: int) -> int:
    """Notes that the graph has passed its checks as of `until` (microseconds UTC); returns the latest such moment."""
    latest = max(until, refreshed_until(var) or until)
    var.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{_MARK}-", dir=var)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"until": latest}, file)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(var / _MARK)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return latest


def refreshed_until(var: Path) -> int | None:
    """As-of time of the latest refresh that has passed its checks, microseconds UTC; None before the first.

    Raises:
        StoreError: the note cannot be read.
    """
    path = var / _MARK
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["until"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} cannot be read: {error}", hint="delete it; the next refresh writes it anew"
        ) from error


def is_due(refreshed: int | None, until: int, period: int) -> bool:
    """Whether a job as of `until` that is done every `period` is worth doing on a graph refreshed up to `refreshed`.

    It is not where the graph is a whole period ahead: a later run of the job does more. All in microseconds (UTC).

    Raises:
        NotYet: the graph has not been refreshed up to `until`.
    """
    if refreshed is None or refreshed < until:
        so_far = "not been refreshed yet" if refreshed is None else f"been refreshed up to {iso(refreshed)}"
        raise NotYet(
            f"the graph has {so_far}, and {iso(until)} is needed",
            hint="see whether the runs of graph_refresh go well",
        )
    return refreshed < until + period

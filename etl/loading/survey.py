"""The first pass of a load: everything is read and checked, and nothing is changed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from etl.contract.checked import CheckedRows
from etl.ledger import QuarantinedRow
from etl.loading.kept import KeptRows
from etl.loading.streams import Plan, plural
from graph.errors import LimitExceeded
from graph.progress import Progress

_EXAMPLES = 3


@dataclass
class Kind:
    """What the first pass found of one kind of rows: rows read (`outside` the asked window or not), refused ones by
    reason, and some of these."""

    read: int = 0
    outside: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[QuarantinedRow] = field(default_factory=list)
    kept: KeptRows = field(default_factory=KeptRows)


@dataclass
class Survey:
    """What the first pass found.

    Attributes:
        newest: the latest moment that any accepted row names, microseconds UTC.
        kinds: by kind of rows.
    """

    newest: int | None = None
    kinds: dict[str, Kind] = field(default_factory=dict)

    def close(self) -> None:
        """Forgets the checked rows."""
        for kind in self.kinds.values():
            kind.kept.close()


def survey(
    plan: Plan, limit: float, size: int, progress: Progress, observe: Callable[[CheckedRows], None] | None = None
) -> Survey:
    """Reads and checks everything once, keeps it for the second pass, and writes nothing.

    Args:
        limit: largest share of refused rows, 0 to 1, in each kind of rows.
        observe: is shown every batch of transactions.

    Raises:
        LimitExceeded: more rows than that are refused; tells reasons and examples.
        InputError: a source cannot be read to its end.
        StoreError: the folder of temporary files is full.
    """
    found = Survey()
    try:
        for stream in plan.streams():
            kind = found.kinds[stream.kind] = Kind()
            with progress.stage(f"checking {stream.name}", total=stream.rows) as advance:
                for checked in stream.checked(size, advance):
                    kind.read += checked.refusals.read()
                    kind.outside += int(checked.refusals.outside.sum())
                    kind.reasons += checked.refusals.reasons()
                    if len(kind.examples) < _EXAMPLES:
                        kind.examples += checked.refusals.rows(_EXAMPLES - len(kind.examples))
                    if checked.newest is not None:
                        found.newest = max(checked.newest, found.newest or checked.newest)
                    if observe is not None and stream.kind == "transaction":
                        observe(checked)
                    kind.kept.append(checked)
            enforce(limit, stream.kind, kind)
    except BaseException:
        found.close()
        raise
    return found


def enforce(limit: float, name: str, kind: Kind) -> None:
    """Stops a load before it changes anything.

    Raises:
        LimitExceeded: of the rows read inside the window, a larger share than `limit` is refused.
    """
    refused, read = kind.reasons.total(), kind.read - kind.outside
    if refused <= limit * read:
        return
    counts = ", ".join(f"{reason} {n:,}" for reason, n in kind.reasons.most_common())
    shown = "; ".join(
        f"{e.file} row {e.row}: {e.reason}"
        + (f", {e.column} = {e.value[:60]!r}" if e.column else f", {e.value[:60]!r}")
        for e in kind.examples
    )
    raise LimitExceeded(
        f"{refused:,} of {read:,} {plural(name)} ({refused / read:.1%}) cannot be loaded, more than "
        f"the limit of {limit:.3g}: {counts}" + (f". For example {shown}" if shown else ""),
        hint="nothing was changed; correct the mapping or the source, or raise quarantine.limit in the mapping",
    )

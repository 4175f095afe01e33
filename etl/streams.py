"""What a load reads: files of transactions, labels and attributes, each kind with its contract; and a first look."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from etl.contract import CheckedRows, Clock, Contract, TransactionContract, Window
from etl.label_contract import AttributeContract, LabelContract
from etl.layout import Layout, fit, require
from etl.mapping import Mapping
from etl.pseudonyms import Pseudonyms
from etl.quarantine import QuarantinedRow
from etl.sources import SourceFile, expand, open_file
from graph.errors import LimitExceeded, MappingError
from graph.progress import Advance, Progress

_KEPT_BYTES = 128 << 20
"""Checked rows of a small source stay in memory between the passes, up to this size."""
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Stream:
    """Files of one kind of rows, and the contract they are checked by."""

    contract: Contract
    files: list[SourceFile]

    @property
    def kind(self) -> str:
        """What the rows are: `transaction`, `label`, `attributes:user` …"""
        return self.contract.kind

    @property
    def name(self) -> str:
        """What the rows are, for people."""
        return _plural(self.kind)

    @property
    def rows(self) -> int | None:
        """How many rows there are, where the files tell."""
        counts = [file.rows for file in self.files]
        return sum(n for n in counts if n is not None) if None not in counts else None

    def checked(self, size: int, advance: Advance) -> Iterator[CheckedRows]:
        """Reads and checks all files, at most `size` rows at a time."""
        for file in self.files:
            for chunk in file.chunks(size):
                yield self.contract.check(chunk)
                advance(chunk.rows)


@dataclass(frozen=True, slots=True)
class Plan:
    """All streams of a load, and the layout that its transactions share."""

    layout: Layout
    transactions: Stream
    labels: Stream | None
    attributes: dict[str, Stream]

    def streams(self) -> list[Stream]:
        """Every stream, transactions first."""
        return [self.transactions, *([self.labels] if self.labels else []), *self.attributes.values()]


def transaction_stream(
    mapping: Mapping, files: Sequence[Path] | None, clock: Clock, window: Window | None = None
) -> tuple[Layout, Stream]:
    """The stream of a mapping's transactions (from `files` instead of its own where given), and its layout.

    Raises:
        MappingError: the mapping does not fit the files.
        InputError: a file is missing or damaged, or there is no key for pseudonyms.
    """
    paths = list(files) if files else expand(mapping.source.files or (), mapping.folder)
    opened = [open_file(path) for path in paths]
    layout = fit(mapping, opened[0].columns, str(opened[0].path))
    for file in opened[1:]:
        if fit(mapping, file.columns, str(file.path)).schema != layout.schema:
            raise MappingError(
                f"{file.path} and {opened[0].path} differ in the columns that globs of numeric or categorical match",
                hint="name the columns one by one, or load the files with mappings of their own",
            )
    contract = TransactionContract(mapping, layout, Pseudonyms(mapping), clock, window or Window())
    return layout, Stream(contract, opened)


def plan(mapping: Mapping, files: Sequence[Path] | None, clock: Clock, window: Window) -> Plan:
    """Opens everything that a mapping names.

    Raises:
        MappingError: the mapping does not fit the files.
        InputError: a file is missing or damaged, or there is no key for pseudonyms.
    """
    layout, transactions = transaction_stream(mapping, files, clock, window)
    labels = None
    contract = label_contract(mapping, clock, window)
    if contract is not None:
        labels = Stream(contract, _opened(mapping, contract.files.files or (), contract.columns))
    attributes = {
        entity: Stream(contract, _opened(mapping, contract.files.files or (), contract.files.key))
        for entity in mapping.attributes
        for contract in (attribute_contract(mapping, entity),)
    }
    return Plan(layout, transactions, labels, attributes)


def label_contract(mapping: Mapping, clock: Clock, window: Window) -> LabelContract | None:
    """The contract of a mapping's label files, where it has any."""
    if mapping.labels is None:
        return None
    return LabelContract(mapping, mapping.labels, Pseudonyms(mapping), clock, window)


def attribute_contract(mapping: Mapping, entity: str) -> AttributeContract:
    """The contract of an entity type's attribute files, which the mapping must have."""
    return AttributeContract(entity, mapping.attributes[entity], Pseudonyms(mapping))


def _opened(mapping: Mapping, patterns: Sequence[str], wanted: Sequence[str]) -> list[SourceFile]:
    opened = [open_file(path) for path in expand(patterns, mapping.folder)]
    for file in opened:
        require(wanted, file.columns, str(file.path))
    return opened


@dataclass
class Survey:
    """What the first pass found.

    Attributes:
        newest: the latest moment that any accepted row names, microseconds UTC.
        kept: everything that was checked, by kind of rows, where it was small enough to keep.
        rows: rows read, by kind.
    """

    newest: int | None = None
    kept: dict[str, list[CheckedRows]] | None = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)


def survey(
    plan: Plan,
    limit: float,
    size: int,
    progress: Progress,
    visit: Callable[[Stream, CheckedRows], None] | None = None,
) -> Survey:
    """Reads and checks everything once and writes nothing.

    Args:
        limit: largest share of refused rows, 0 to 1, in each kind of rows.
        visit: is shown every batch.

    Raises:
        LimitExceeded: more rows than that are refused; tells reasons and examples.
        InputError: a file cannot be read to its end.
    """
    found = Survey()
    kept_bytes = 0
    for stream in plan.streams():
        read, reasons, examples = 0, Counter[str](), list[QuarantinedRow]()
        batches: list[CheckedRows] = []
        with progress.stage(f"checking {stream.name}", total=stream.rows) as advance:
            for checked in stream.checked(size, advance):
                read += checked.refusals.read()
                reasons += checked.refusals.reasons()
                if len(examples) < _EXAMPLES:
                    examples += checked.refusals.rows(_EXAMPLES - len(examples))
                if checked.newest is not None:
                    found.newest = max(checked.newest, found.newest or checked.newest)
                if visit is not None:
                    visit(stream, checked)
                if found.kept is not None:
                    batches.append(checked)
                    kept_bytes += checked.nbytes
                    if kept_bytes > _KEPT_BYTES:
                        found.kept, batches = None, []
        found.rows[stream.kind] = read
        if found.kept is not None:
            found.kept[stream.kind] = batches
        if reasons.total() > limit * read:
            raise _too_many(stream.kind, read, limit, reasons, examples)
    return found


def _plural(kind: str) -> str:
    return " of ".join(kind.split(":")) if ":" in kind else f"{kind}s"


def _too_many(
    kind: str, read: int, limit: float, reasons: Counter[str], examples: Sequence[QuarantinedRow]
) -> LimitExceeded:
    counts = ", ".join(f"{reason} {n:,}" for reason, n in reasons.most_common())
    shown = "; ".join(
        f"{e.file} row {e.row}: {e.reason}"
        + (f", {e.column} = {e.value[:60]!r}" if e.column else f", {e.value[:60]!r}")
        for e in examples
    )
    return LimitExceeded(
        f"{reasons.total():,} of {read:,} {_plural(kind)} ({reasons.total() / read:.1%}) cannot be loaded, more than "
        f"the limit of {limit:.3g}: {counts}. For example {shown}",
        hint="nothing was changed; correct the mapping or the source, or raise quarantine.limit in the mapping",
    )

"""What a load reads: rows of transactions, labels and attributes, each kind with its contract."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from etl.contract.checked import CheckedRows, Clock, Contract, Window
from etl.contract.layout import Layout, fit, require
from etl.contract.pseudonyms import Pseudonyms
from etl.contract.related import AttributeContract, LabelContract
from etl.contract.transactions import TransactionContract
from etl.loading.ahead import ahead
from etl.mapping import Mapping as MappingFile
from etl.sources import Part, Rows, open_file, open_rows
from graph.errors import MappingError
from graph.progress import Advance


@dataclass(frozen=True, slots=True)
class Stream:
    """Sources of one kind of rows, and the contract they are checked by."""

    contract: Contract
    sources: list[Rows]

    @property
    def kind(self) -> str:
        """What the rows are: `transaction`, `label`, `attributes:user` …"""
        return self.contract.kind

    @property
    def name(self) -> str:
        """What the rows are, for people."""
        return plural(self.kind)

    @property
    def rows(self) -> int | None:
        """How many rows there are, where the sources tell."""
        counts = [source.rows for source in self.sources]
        return sum(n for n in counts if n is not None) if None not in counts else None

    def checked(self, size: int, advance: Advance) -> Iterator[CheckedRows]:
        """Reads and checks everything, at most `size` rows at a time; the next are read while these are checked."""
        for source in self.sources:
            for chunk in ahead(source.chunks(size)):
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
    mapping: MappingFile,
    files: Sequence[Path] | None,
    clock: Clock,
    window: Window | None = None,
    since: str | None = None,
) -> tuple[Layout, Stream]:
    """The stream of a mapping's transactions (from `files` instead of its own source where given), and its layout.

    `files` are read with the options of `source.csv`, as the source's own are.

    Args:
        since: the watermark from which a query is read on.

    Raises:
        MappingError: the mapping does not fit its source.
        InputError: a file is missing or damaged, a database cannot be asked, or there is no key for pseudonyms.
    """
    opened: list[Rows]
    if files:
        opened = [open_file(path, mapping.source.csv) for path in files]
    else:
        opened = open_rows(mapping.source, mapping.folder, since)
    layout = fit(mapping, opened[0].columns, opened[0].name)
    for rows in opened[1:]:
        if fit(mapping, rows.columns, rows.name).schema != layout.schema:
            raise MappingError(
                f"{rows.name} and {opened[0].name} differ in the columns that globs of numeric or categorical match",
                hint="name the columns one by one, or load the files with mappings of their own",
            )
    contract = TransactionContract(mapping, layout, Pseudonyms(mapping), clock, window or Window())
    return layout, Stream(contract, opened)


def plan(
    mapping: MappingFile, files: Sequence[Path] | None, clock: Clock, window: Window, since: Mapping[str, str]
) -> Plan:
    """Opens everything that a mapping names.

    Args:
        since: watermarks from which queries are read on, by kind of rows.

    Raises:
        MappingError: the mapping does not fit its sources.
        InputError: a file is missing or damaged, a database cannot be asked, or there is no key for pseudonyms.
    """
    layout, transactions = transaction_stream(mapping, files, clock, window, since.get("transaction"))
    labels = None
    contract = label_contract(mapping, clock, window)
    if contract is not None:
        labels = Stream(contract, _opened(mapping, contract.files, contract.columns, since.get("label")))
    attributes = {
        entity: Stream(about, _opened(mapping, about.files, about.files.key, since.get(about.kind)))
        for entity in mapping.attributes
        for about in (attribute_contract(mapping, entity),)
    }
    return Plan(layout, transactions, labels, attributes)


def label_contract(mapping: MappingFile, clock: Clock, window: Window) -> LabelContract | None:
    """The contract of a mapping's labels of their own, where it has any."""
    if mapping.labels is None:
        return None
    return LabelContract(mapping, mapping.labels, Pseudonyms(mapping), clock, window)


def attribute_contract(mapping: MappingFile, entity: str) -> AttributeContract:
    """The contract of an entity type's attributes, which the mapping must have."""
    return AttributeContract(entity, mapping.attributes[entity], Pseudonyms(mapping))


def plural(kind: str) -> str:
    """A kind of rows, for people: `transactions`, `attributes of user`."""
    return " of ".join(kind.split(":")) if ":" in kind else f"{kind}s"


def _opened(mapping: MappingFile, part: Part, wanted: Sequence[str], since: str | None) -> list[Rows]:
    opened = open_rows(part, mapping.folder, since)
    for rows in opened:
        require(wanted, rows.columns, rows.name)
    return opened

"""`quipu rings`: fraud rings, what is known of them, and what investigators say."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, StoreOption, emit, out
from cli.paths import file_to_write

if TYPE_CHECKING:
    import pyarrow as pa

    from graph.ring_records import Ring
    from graph.store import RingStore, Store

app = typer.Typer(help="Find fraud rings, look at them, and judge them.", no_args_is_help=True)

RingArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the ring.", show_default=False)]

_SHOWN = 10
_KINDS = {"returned": "came back", "gone": "no longer found"}


class Status(StrEnum):
    """Where a ring is in its life, as an option names it."""

    new = "new"
    watched = "watched"
    confirmed = "confirmed"
    dismissed = "dismissed"


class Said(StrEnum):
    """What an investigator may say."""

    confirmed = "confirmed"
    dismissed = "dismissed"


@app.callback()
def _group() -> None:
    """Find fraud rings, look at them, and judge them."""


@app.command()
def find(
    at: Annotated[
        str | None,
        typer.Option(help="As of this moment; by default when the newest transaction has arrived.", show_default=False),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            help="Parquet file of model scores, as `quipu backtest` writes them. They must have been made before --at.",
            show_default=False,
        ),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for rings as of a moment, by what was known then, and keep what was found.

    Decisions that were made of transactions by then and labels known by then count; --scores adds what a model said of
    other transactions, or of the same ones now. Rings keep their ids from one time to the next, and verdicts are never
    overwritten. Doing it again for the same moment changes nothing.

    Example: quipu rings find --at 2026-03-01 --scores scores.parquet
    """
    from cli.times import moment
    from graph.ring_json import iso, summary
    from graph.rings.evidence import Evidence
    from graph.rings.find import find as look
    from graph.rings.identity import identify

    before = None if at is None else moment(at)
    known = None if scores is None else _scores(scores)
    progress = ConsoleProgress()
    with _opened(store) as (opened, kept):
        as_of = _newest(opened) + 1 if before is None else before
        latest = kept.refreshed_at()
        if latest is not None and latest > as_of:
            raise _backward(as_of, latest)
        evidence = Evidence.read(opened, as_of, scores=known, progress=progress)
        with progress.stage("looking for rings"):
            found = look(evidence)
        refresh = identify(found, kept.rings(limit=None), as_of)
        written = kept.write_refresh(refresh)
        rings = kept.rings(active=True, limit=None)
    kinds = [str(event.kind) for event in refresh.events] if written else []
    result = {
        "at": iso(as_of),
        "written": written,
        "transactions": len(evidence),
        "events": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)},
        "rings": [summary(ring) for ring in rings],
    }
    emit(result, as_json=as_json, text=_tell_found)


def _tell_found(result: dict[str, Any]) -> None:
    for ring in result["rings"][:_SHOWN]:
        _lines(ring)
    if len(result["rings"]) > _SHOWN:
        out.print(f"… and {len(result['rings']) - _SHOWN:,} more: quipu rings list --limit {len(result['rings'])}")
    count = len(result["rings"])
    told = f"{count:,} ring{'' if count == 1 else 's'} as of {_minute(result['at'])} UTC"
    out.print(f"{told}, in {result['transactions']:,} transactions")
    if not result["written"]:
        out.print("rings as of that moment were kept already; nothing has changed")
    elif result["events"]:
        out.print(", ".join(f"{count:,} {_KINDS.get(kind, kind)}" for kind, count in result["events"].items()))


def _backward(as_of: int, latest: int) -> Exception:
    from graph.errors import InputError
    from graph.ring_json import iso

    return InputError(
        f"--at {iso(as_of)} is before the latest refresh, which was as of {iso(latest)}",
        hint="a refresh goes forward in time: leave --at out, or name a later moment",
    )


def _newest(store: "Store") -> int:
    """When the newest transaction had occurred and arrived, microseconds UTC.

    Raises:
        NotEnoughData: there is none.
    """
    from graph.errors import NotEnoughData

    newest = [int(max(c.occurred_at.max(), c.arrived_at.max())) for c in store.transaction_changes()]
    if not newest:
        raise NotEnoughData("the store has no transactions to look for rings in", hint="load some: quipu ingest")
    return max(newest)


def _scores(path: Path) -> "pa.Table":
    """The columns that matter of a file of scores.

    Raises:
        InputError: it cannot be read, or lacks one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from graph.errors import InputError

    try:
        there = set(pq.read_schema(path).names)
        lacking = {"transaction_id", "probability"} - there
        if lacking:
            hint = "quipu backtest writes such a file"
            raise InputError(f"--scores: {path} has no column {', '.join(sorted(lacking))}", hint=hint)
        table = pq.read_table(path, columns=[c for c in ("transaction_id", "probability", "band") if c in there])
        types = {"transaction_id": pa.string(), "probability": pa.float64(), "band": pa.string()}
        return table.cast(pa.schema([(name, types[name]) for name in table.column_names]))
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"--scores: {path} cannot be read as Parquet: {error}", hint="quipu backtest writes such a file"
        ) from error


@app.command("list")
def list_rings(
    status: Annotated[Status | None, typer.Option(help="Only rings of this status.")] = None,
    over: Annotated[bool, typer.Option("--over", help="Those that the latest refresh no longer found.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most rings to show.")] = 50,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List rings, the most suspicious first.

    Example: quipu rings list --status new
    """
    from graph.ring_json import summary
    from graph.ring_records import RingStatus

    with _opened(store) as (_, kept):
        found = kept.rings(active=not over, status=None if status is None else RingStatus(status.value), limit=limit)
        refreshed = kept.refreshed_at() is not None

    def text(result: dict[str, Any]) -> None:
        if result["rings"]:
            for ring in result["rings"]:
                _lines(ring)
            out.print("one in full with quipu rings show ID")
        else:
            out.print("there are no such rings" if refreshed else "rings have not been looked for yet")

    emit({"rings": [summary(ring) for ring in found]}, as_json=as_json, text=text)


def _lines(ring: dict[str, Any]) -> None:
    told = [
        f"{ring['score']:.2f}",
        f"{ring['users']:,} users",
        f"{ring['transactions']:,} transactions",
        f"{ring['amount']:,.2f}",
        f"{ring['fraud_known']:,} known fraud",
        f"{ring['first_at'][:10]} to {ring['last_at'][:10]}",
    ]
    out.print(f"{ring['ring_id']}  {ring['status']}", style="bold", end="  ")
    out.print("  ".join(told))
    if ring["reasons"]:
        out.print(f"    {ring['reasons'][0]}")


@app.command()
def show(
    ring_id: RingArgument,
    html: Annotated[
        Path | None,
        typer.Option(help="Write it as an interactive page that only you can read.", show_default=False),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one ring: why it is one, its members and its links.

    Example: quipu rings show ID --html ring.html
    """
    from graph.browser.links import BrowserLinks
    from graph.ring_graph import ring_graph
    from graph.ring_json import whole
    from graph.ring_page import render_ring

    if html is not None:
        file_to_write(html, "--html")
    with _opened(store) as (opened, kept):
        ring = _known(kept, ring_id)
        result = whole(ring)
        if (links := BrowserLinks.of(opened.url)) is not None:
            result["browser"] = links.ring(ring_id)
        if html is not None:
            _write(html, render_ring(ring, ring_graph(opened, ring), kept.ring_events(ring_id)))
            result["html"] = str(html)
    emit(result, as_json=as_json, text=_show)


def _write(path: Path, page: str) -> None:
    """Writes a page for its owner alone: keys of users and devices are personal data."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(page, encoding="utf-8")


def _show(ring: dict[str, Any]) -> None:
    from rich.table import Table

    out.print(f"ring {ring['ring_id']}  {ring['status']}  score {ring['score']:.2f}", style="bold")
    out.print(
        f"{ring['users']:,} users, {len(ring['members']):,} members in all; {ring['transactions']:,} transactions, "
        f"{ring['amount']:,.2f} in all, {ring['fraud_known']:,} known to be fraud"
    )
    out.print(f"from {_minute(ring['first_at'])} to {_minute(ring['last_at'])}; as of {_minute(ring['refreshed_at'])}")
    if not ring["active"]:
        became = f"; its members are now in {', '.join(ring['became'])}" if ring["became"] else ""
        out.print(f"the latest refresh no longer finds it{became}")
    if ring["came_from"]:
        out.print(f"came from {', '.join(ring['came_from'])}")
    for reason in ring["reasons"]:
        out.print(f"- {reason['text']}")
    members = Table("member", "key", "since", "transactions", "band")
    members.columns[1].overflow = "fold"
    members.columns[2].no_wrap = True
    for member in ring["members"]:
        count = f"{member['transactions']:,}"
        members.add_row(member["entity"], member["key"], _minute(member["since"]), count, member["band"] or "")
    out.print(members)
    links = Table("user", "linked to", "transactions", "first", "last")
    for column in links.columns[:2]:
        column.overflow = "fold"
    for column in links.columns[3:]:
        column.no_wrap = True
    for link in ring["links"]:
        ends = (link["user"], f"{link['entity']} {link['key']}")
        links.add_row(*ends, f"{link['transactions']:,}", _minute(link["first_at"]), _minute(link["last_at"]))
    out.print(links)
    if "browser" in ring:
        out.print(f"in Neo4j Browser: {ring['browser']}")
    if "html" in ring:
        out.print(f"written to {ring['html']}")


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


@app.command()
def verdict(
    ring_id: RingArgument,
    said: Annotated[Said, typer.Argument(metavar="confirmed|dismissed", help="What you say.", show_default=False)],
    by: Annotated[str, typer.Option(help="Who says so.", show_default=False)] = "",
    note: Annotated[str, typer.Option(help="Why, for those who look at the ring later.", show_default=False)] = "",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Confirm or dismiss a ring. No refresh changes it; the same verdict again changes nothing.

    The transactions of a confirmed ring become known as fraud now. Where a confirmed ring is dismissed, this is taken
    back for transactions that nobody else calls fraud.

    Example: quipu rings verdict ID confirmed --by Ana --note "three accounts, one phone"
    """
    import time

    from graph.ring_json import whole
    from graph.ring_records import RingStatus, Verdict
    from graph.ring_verdicts import labels_of

    spoken = Verdict(ring_id, time.time_ns() // 1000, RingStatus(said.value), by.strip(), note.strip())
    with _opened(store) as (opened, kept):
        before = _known(kept, ring_id)
        labels = labels_of(opened, before, spoken)
        # Labels before the verdict: a verdict that is there has all its labels, whatever fails in between.
        opened.upsert_labels(labels)
        ring = kept.write_verdict(spoken)

    def text(result: dict[str, Any]) -> None:
        if not result["changed"]:
            out.print(f"ring {ring_id} was {result['ring']['status']} already; nothing has changed")
        else:
            known = "known to be fraud" if said is Said.confirmed else "no longer known to be fraud"
            out.print(
                f"ring {ring_id} is {result['ring']['status']}; {result['labels']:,} transactions are {known} now"
            )

    changed = before.status != ring.status
    emit({"changed": changed, "labels": labels.num_rows, "ring": whole(ring)}, as_json=as_json, text=text)


@app.command()
def history(ring_id: RingArgument, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Tell what happened to a ring: when it was found, grew, split or merged, and what was said of it.

    Example: quipu rings history ID
    """
    from graph.ring_json import event, event_text

    with _opened(store) as (_, kept):
        ring = _known(kept, ring_id)
        events = kept.ring_events(ring_id)
    told = [{**event(item), "text": event_text(item)} for item in events]

    def text(result: dict[str, Any]) -> None:
        for item in result["events"]:
            out.print(f"{_minute(item['at'])}  {item['text']}")
        if not result["events"]:
            out.print("nothing has happened to it since it was found")

    result = {"ring_id": ring.ring_id, "came_from": list(ring.came_from), "became": list(ring.became), "events": told}
    emit(result, as_json=as_json, text=text)


@contextmanager
def _opened(store: str | None) -> "Iterator[tuple[Store, RingStore]]":
    from graph.settings import settings
    from graph.store import open_store, rings_of

    opened = open_store(store or settings().store)
    try:
        yield opened, rings_of(opened)
    finally:
        opened.close()


def _known(store: "RingStore", ring_id: str) -> "Ring":
    from graph.errors import NotFound

    ring = store.ring(ring_id)
    if ring is None:
        raise NotFound(f"there is no ring {ring_id!r}", hint="quipu rings list prints those there are")
    return ring

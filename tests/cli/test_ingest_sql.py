"""`quipu ingest` from a real PostgreSQL: each load reads only what is new, by the server's own count."""

import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Postgres

MAPPING = """
name: shop
source: {sql: {url_env: SHOP_DB, query: "SELECT * FROM payments WHERE id > 0", watermark: updated_at}}
transaction: {transaction_id: id, occurred_at: paid_at, user_id: customer, amount: total, device_id: device}
outliers: false
"""
ROWS = 130_000
"""More than two batches, so that a load can be killed between the first and the last."""
PATIENCE = 120.0


@pytest.fixture
def shop(postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    """A table of payments with an index on its watermark; a mapping of it in the current directory."""
    postgres.run(
        "CREATE TABLE payments (id bigint PRIMARY KEY, paid_at timestamptz, customer text, device text,"
        " total numeric(10, 2), updated_at timestamp NOT NULL)"
    )
    postgres.run("CREATE INDEX ON payments (updated_at)")
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    monkeypatch.setenv("SHOP_DB", postgres.url)
    return postgres


def add(shop: Postgres, first: int, last: int) -> None:
    """Payments with the numbers from first to last, a second apart."""
    shop.run(
        "INSERT INTO payments SELECT i, timestamptz '2024-01-01 12:00Z' + i * interval '2 s', 'u' || i % 3000,"
        " 'd' || i % 4000, (i % 97)::numeric(10, 2), timestamp '2024-01-01' + i * interval '1 s'"
        f" FROM generate_series({first}, {last}) i"
    )


def fetched(shop: Postgres) -> int:
    """Rows of the table that the server has fetched for queries, in whatever way."""
    ((count,),) = shop.run(
        "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'payments'"
    )
    return int(str(count))


def settled(shop: Postgres, least: int) -> int:
    """What it has fetched once all sessions have told: at least so many rows."""
    until(lambda: fetched(shop) >= least)
    return fetched(shop)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def watermark(ledger: Path) -> str | None:
    """How far the load has come, by its ledger."""
    if not ledger.exists():
        return None
    with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=30) as connection:
        try:
            row = connection.execute("SELECT value FROM watermarks WHERE kind = 'transaction'").fetchone()
        except sqlite3.OperationalError:  # the file is being made
            return None
    connection.close()
    return str(row[0]) if row else None


def test_a_load_that_was_killed_goes_on_and_later_ones_read_only_what_is_new(
    shop: Postgres,
    quipu: Callable[..., Any],
    program: Callable[..., "subprocess.Popen[str]"],
    tmp_path: Path,
) -> None:
    add(shop, 1, ROWS)
    shop.run("ANALYZE payments")
    ledger = tmp_path / "store.etl.db"
    loading = program("ingest", tmp_path / "mapping.yaml", "--json", SHOP_DB=shop.url)
    until(lambda: watermark(ledger) is not None or loading.poll() is not None)
    loading.send_signal(signal.SIGKILL)
    output, errors = loading.communicate()
    assert loading.returncode == -signal.SIGKILL, output + errors
    written = datetime.fromisoformat(str(watermark(ledger)).removeprefix("timestamp:")) - datetime.fromisoformat(
        "2024-01-01"
    )
    last = int(written.total_seconds())
    assert 0 < last < ROWS

    add(shop, ROWS + 1, ROWS + 100)
    before = settled(shop, ROWS)
    report = ingest(quipu)
    rest = ROWS + 100 - last + 1
    assert (report["read"], report["quarantined"]) == (rest, 0)
    assert rest <= settled(shop, before + rest) - before <= rest + 10

    add(shop, ROWS + 101, ROWS + 140)
    before = fetched(shop)
    report = ingest(quipu)
    assert (report["read"], report["loaded"], report["duplicates"]) == (41, 40, 1)
    assert 41 <= settled(shop, before + 41) - before <= 51

    shop.run("UPDATE payments SET total = total + 1, updated_at = updated_at + interval '30 days' WHERE id = 7")
    report = ingest(quipu)
    assert (report["read"], report["loaded"], report["reasons"]) == (2, 0, {"conflicting_duplicate": 1})
    with sqlite3.connect(tmp_path / "store.db") as store:
        assert store.execute("SELECT count(*) FROM transactions").fetchone() == (ROWS + 140,)
    store.close()


def ingest(quipu: Callable[..., Any]) -> dict[str, object]:
    report = quipu("ingest", "mapping.yaml", "--json").json()
    return dict(report)


def test_a_database_that_cannot_be_used_is_told_without_its_password(
    shop: Postgres, quipu: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, rest = shop.url.partition("@")
    for url, status, told in [
        (f"postgresql://quipu:wr0ng-s3cret@{rest}", 2, "refuses the login"),
        ("postgresql://quipu:wr0ng-s3cret@127.0.0.1:1/shop", 1, "cannot be reached"),
        (f"{shop.url.rpartition('/')[0]}/nothing", 2, "does not exist"),
        ("", 2, "SHOP_DB is not set"),
    ]:
        ran = quipu("ingest", "mapping.yaml", SHOP_DB=url)
        assert told in ran.complaint()
        assert ran.status == status
        assert "s3cret" not in ran.err

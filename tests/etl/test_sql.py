"""Queries to real databases: PostgreSQL, and SQLite files."""

import gc
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from etl.mapping import Source
from etl.sources import Chunk, Rows, open_rows, sample
from etl.sources.database import Database
from etl.sources.sql import SqlRows
from graph.errors import InputError, QuipuError, SourceUnavailable
from tests.postgres import PASSWORD, Postgres

PATIENCE = 30.0


@pytest.fixture
def shop(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    """A database whose URL stands in SHOP_DB."""
    monkeypatch.setenv("SHOP_DB", postgres.url)
    return postgres


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sqlite3.Connection:
    """A SQLite database whose URL stands in SHOP_DB."""
    monkeypatch.setenv("SHOP_DB", f"sqlite:///{tmp_path}/shop.db")
    return sqlite3.connect(tmp_path / "shop.db", isolation_level=None)


def part(query: str, **more: Any) -> Source:
    return Source.model_validate({"sql": {"url_env": "SHOP_DB", "query": query, **more}})


def opened(query: str, since: str | None = None, **more: Any) -> Rows:
    (rows,) = open_rows(part(query, **more), Path(), since)
    return rows


def read(query: str, since: str | None = None, size: int = 1_000, **more: Any) -> list[Chunk]:
    return list(opened(query, since, **more).chunks(size))


def column(chunks: list[Chunk], name: str) -> list[Any]:
    return [value for chunk in chunks for value in chunk.table[name].to_pylist()]


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another process does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_types_of_postgresql(shop: Postgres) -> None:
    shop.run("""CREATE TABLE t AS SELECT
        7::smallint AS small, 2::bigint ^ 0 = 1 AS yes, 1234.50::numeric(12,2) AS amount, 0.25::float8 AS share,
        timestamp '2024-01-02 03:04:05.000006' AS local, timestamptz '2024-01-02 03:04:05-05' AS zoned,
        date '2024-02-29' AS day, '0f8fad5b-d9cb-469f-a165-70867728950e'::uuid AS id,
        '{"a": [1, null, "ñ"]}'::jsonb AS doc,
        '\\x00ff'::bytea AS bytes, inet '10.0.0.1' AS ip, ARRAY['a','b'] AS tags, interval '90 minutes' AS took,
        'Lima'::varchar AS city, 12345678901234567890123456789012345678901234567890::numeric AS huge,
        'NaN'::numeric AS nan, time '10:30' AS at, NULL::int AS nothing, timestamp 'infinity' AS never""")
    (chunk,) = read("SELECT * FROM t")
    table = chunk.table
    assert {field.name: (str(field.type), table[field.name][0].as_py()) for field in table.schema} == {
        "small": ("int64", 7),
        "yes": ("bool", True),
        "amount": ("decimal128(6, 2)", Decimal("1234.50")),
        "share": ("double", 0.25),
        "local": ("timestamp[us]", datetime.fromisoformat("2024-01-02T03:04:05.000006")),
        "zoned": ("timestamp[us, tz=UTC]", datetime(2024, 1, 2, 8, 4, 5, tzinfo=UTC)),
        "day": ("date32[day]", date(2024, 2, 29)),
        "id": ("string", "0f8fad5b-d9cb-469f-a165-70867728950e"),
        "doc": ("string", '{"a": [1, null, "ñ"]}'),
        "bytes": ("binary", b"\x00\xff"),
        "ip": ("string", "10.0.0.1"),
        "tags": ("string", '["a", "b"]'),
        "took": ("duration[us]", timedelta(minutes=90)),
        "city": ("string", "Lima"),
        "huge": ("decimal256(50, 0)", Decimal("12345678901234567890123456789012345678901234567890")),
        "nan": ("string", "NaN"),
        "at": ("string", "10:30:00"),
        "nothing": ("string", None),
        "never": ("string", "infinity"),
    }  # fmt: skip


def test_rows_are_streamed_and_read_once(shop: Postgres) -> None:
    shop.run("CREATE TABLE t AS SELECT i, i % 3 AS kind FROM generate_series(1, 2500) i")
    rows = opened("SELECT i, 'a:b' AS text, 10 % 4 AS two FROM t WHERE kind::text LIKE '%' ORDER BY i -- all")
    assert (rows.name, rows.columns, rows.rows) == ("sql:SHOP_DB", ("i", "text", "two"), None)
    streaming = rows.chunks(1000)
    first = next(streaming)
    waiting = shop.run(
        "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    )
    assert len(waiting) == 1
    assert str(waiting[0][0]).startswith("FETCH FORWARD ")
    chunks = [first, *streaming]
    assert [chunk.table.num_rows for chunk in chunks] == [1000, 1000, 500]
    assert [chunk.watermark for chunk in chunks] == [None] * 3
    assert column(chunks, "i") == [n for chunk in chunks for n in chunk.numbers.tolist()] == list(range(1, 2501))
    assert set(column(chunks, "text")) == {"a:b"}
    assert not shop.run("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
    shop.run("DROP TABLE t")
    for size in (300, 1000, 5000):
        again = list(rows.chunks(size))
        assert max(chunk.rows for chunk in again) <= size
        assert column(again, "i") == [n for chunk in again for n in chunk.numbers.tolist()] == list(range(1, 2501))
    rows.close()
    with pytest.raises(InputError, match='relation "t" does not exist'):
        next(rows.chunks(10))


def test_reading_that_was_given_up_begins_anew_and_leaves_nothing(shop: Postgres) -> None:
    shop.run("CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i")
    rows = opened("TABLE t")
    next(rows.chunks(10))
    gc.collect()
    until(lambda: not shop.run(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ))  # fmt: skip
    assert len(column(list(rows.chunks(30)), "i")) == 100


def test_a_query_only_reads(shop: Postgres) -> None:
    shop.run("CREATE SEQUENCE s")
    rows = opened("SELECT nextval('s') AS i")
    with pytest.raises(InputError, match="read-only transaction"):
        list(rows.chunks())
    with pytest.raises(InputError, match="refuses the query"):
        opened("DROP SEQUENCE s")
    assert shop.run("SELECT last_value, is_called FROM s") == [(1, False)]


WATERMARKS = {
    "bigint": "i",
    "numeric(20,6)": "i * 1.000001",
    "float8": "i / 7.0::float8",
    "timestamp": "timestamp '2024-01-01' + i * interval '1 hour 0.000001 second'",
    "timestamptz": "timestamptz '2024-01-01 00:00-05' + i * interval '1 hour'",
    "date": "date '2024-01-01' + i",
    "text": "'x''y' || lpad(i::text, 6, '0')",
    "varchar(20)": "lpad(i::text, 6, '0')",
    "uuid": "md5(i::text)::uuid",
    "bytea": "decode(lpad(to_hex(i), 8, '0'), 'hex')",
}


@pytest.mark.parametrize("kind", WATERMARKS)
def test_a_watermark_of_any_type_goes_on_where_it_ended_by_the_index(shop: Postgres, kind: str) -> None:
    shop.run(
        f'CREATE TABLE t AS SELECT i AS id, ({WATERMARKS[kind]})::{kind} AS "Mark" FROM generate_series(1, 20000) i'
    )
    shop.run('CREATE INDEX ON t ("Mark")')
    shop.run("ANALYZE t")
    chunks = read("SELECT * FROM t WHERE id % 7 >= 0 AND '100%' LIKE '%:x%' IS FALSE", watermark="Mark", size=7_000)
    marks = column(chunks, "Mark")
    assert len(marks) == 20_000
    assert [chunk.rows for chunk in chunks] == [7_000, 7_000, 6_000]
    later = opened(
        "SELECT * FROM t WHERE id % 7 >= 0 AND '100%' LIKE '%:x%' IS FALSE", chunks[-1].watermark, watermark="Mark"
    )
    assert isinstance(later, SqlRows)
    assert column(list(later.chunks()), "Mark") == marks[-1:]
    middle = read(
        "SELECT * FROM t WHERE id % 7 >= 0 AND '100%' LIKE '%:x%' IS FALSE", chunks[0].watermark, watermark="Mark"
    )
    assert column(middle, "Mark") == marks[6_999:]
    for statement in later.statements():
        plan = explained(shop, statement)
        assert "Index Cond" in plan
        assert "Seq Scan" not in plan


def explained(shop: Postgres, statement: sa.Select[Any]) -> str:
    """How PostgreSQL would carry out a statement, with the very values that it is given."""
    with Database("SHOP_DB").connected() as connection:
        written = statement.compile(connection, compile_kwargs={"render_postcompile": True})
        return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {written}"))


def fetched(shop: Postgres) -> int:
    """Rows of `t` that the server has fetched so far, by its own count."""
    ((count,),) = shop.run(
        "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 't'"
    )
    return int(str(count))


def test_a_second_reading_fetches_only_what_is_new(shop: Postgres) -> None:
    """Without statistics as well, which a new table does not have yet."""
    shop.run("CREATE TABLE t (id int PRIMARY KEY, at timestamptz NOT NULL) WITH (autovacuum_enabled = off)")
    shop.run("CREATE INDEX ON t (at)")
    shop.run("INSERT INTO t SELECT i, timestamptz '2024-01-01' + i * interval '1 s' FROM generate_series(1, 30000) i")
    chunks = read("TABLE t", watermark="at", size=10_000)
    until(lambda: fetched(shop) >= 30_000)
    shop.run(
        "INSERT INTO t SELECT 30000 + i, timestamptz '2024-02-01' + i * interval '1 s' FROM generate_series(1, 50) i"
    )
    before = fetched(shop)
    again = read("TABLE t", chunks[-1].watermark, watermark="at")
    assert column(again, "id") == list(range(30_000, 30_051))
    until(lambda: fetched(shop) > before)
    assert fetched(shop) - before <= 51


def test_rows_without_watermark_are_read_each_time(shop: Postgres) -> None:
    shop.run("CREATE TABLE t (id int, at timestamp)")
    shop.run("INSERT INTO t VALUES (1, '2024-01-01'), (2, NULL), (3, '2024-01-02')")
    first = read("TABLE t", watermark="at")
    assert [(column([c], "id"), c.watermark) for c in first] == [([2], None), ([1, 3], "timestamp:2024-01-02T00:00:00")]
    assert column(read("TABLE t", first[-1].watermark, watermark="at"), "id") == [2, 3]


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz", "date"])
def test_overlap_goes_back_for_rows_that_were_committed_late(shop: Postgres, kind: str) -> None:
    shop.run(f"CREATE TABLE t (id int, at {kind})")
    shop.run("INSERT INTO t SELECT i, timestamp '2024-01-01' + i * interval '1 day' FROM generate_series(1, 9) i")
    (chunk,) = read("TABLE t", watermark="at")
    assert column(read("TABLE t", chunk.watermark, watermark="at", overlap="2d"), "id") == [7, 8, 9]


def test_overlap_of_numbers_is_refused(file: sqlite3.Connection) -> None:
    file.execute("CREATE TABLE t AS SELECT 1 AS id, 'a' AS name")
    for watermark in ("id", "name"):
        (chunk,) = read("SELECT * FROM t", watermark=watermark)
        with pytest.raises(InputError, match="overlap needs a watermark column of times"):
            opened("SELECT * FROM t", chunk.watermark, watermark=watermark, overlap="1h")


@pytest.mark.parametrize(
    ("last", "back"),
    [
        ("2024-03-01 00:00:00", "2024-02-29 23:00:00"),
        ("2024-03-01T00:00:00.250000", "2024-02-29T23:00:00.250000"),
        ("2024-03-01T00:00:00Z", "2024-02-29T23:00:00Z"),
        ("2024-03-01 00:00:00+00:00", "2024-02-29 23:00:00+00:00"),
    ],
)
def test_sqlite_compares_times_as_text(file: sqlite3.Connection, last: str, back: str) -> None:
    file.execute("CREATE TABLE t (id INTEGER, at TEXT)")
    early = back.replace("23:00", "22:59")
    file.executemany("INSERT INTO t VALUES (?, ?)", [(1, early), (2, back), (3, last)])
    (chunk,) = read("SELECT * FROM t;", watermark="at")
    assert column(read("SELECT * FROM t;", chunk.watermark, watermark="at"), "id") == [3]
    assert column(read("SELECT * FROM t;", chunk.watermark, watermark="at", overlap="1h"), "id") == [2, 3]


def test_values_of_sqlite(file: sqlite3.Connection) -> None:
    file.execute("CREATE TABLE t (a, b, c, d, e)")
    file.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", [
        (1, 1, "x", b"\xff", None), (None, 2.5, 2, b"", None), (2, None, None, None, None), (3, 4, 5.5, b"y", 7)
    ])  # fmt: skip
    (chunk,) = read("SELECT * FROM t")
    assert chunk.table.to_pydict() == {
        "a": [1, None, 2, 3],
        "b": [1.0, 2.5, None, 4.0],
        "c": ["x", "2", None, "5.5"],
        "d": [b"\xff", b"", None, b"y"],
        "e": [None, None, None, 7],
    }
    one_by_one = read("SELECT * FROM t", size=1)
    assert [str(c.table["c"].type) for c in one_by_one] == ["string"] * 4
    assert [str(c.table["e"].type) for c in one_by_one] == ["string"] * 3 + ["int64"]
    assert sample(part("SELECT a FROM t"), 2).to_pydict() == {"a": [1, None]}


def refused(query: str = "SELECT 1 AS a", since: str | None = None, **more: Any) -> QuipuError:
    with pytest.raises(QuipuError) as caught:
        read(query, since, **more)
    assert PASSWORD not in f"{caught.value.message} {caught.value.hint}"
    return caught.value


def test_what_can_be_wrong_with_the_url(postgres: Postgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SHOP_DB", raising=False)
    assert "SHOP_DB is not set" in refused().message
    url = sa.make_url(postgres.url)
    cases: list[tuple[str, type[QuipuError], str]] = [
        (f"postgresql//user:{PASSWORD}@host", InputError, "holds no database URL"),
        (f"postgresql://u:{PASSWORD}@host:port/db", InputError, "holds no database URL"),
        (f"oracel://u:{PASSWORD}@host/db", InputError, "kind of database that is not known: oracel"),
        (f"mysql+pymysql://u:{PASSWORD}@host/db", InputError, "driver 'pymysql' .* is not installed"),
        (f"sqlite:///{tmp_path}/missing.db", InputError, "file that is not there"),
        (url.set(port=1).render_as_string(False), SourceUnavailable, "cannot be reached: .*refused"),
        (url.set(host="nowhere.invalid").render_as_string(False), SourceUnavailable, "cannot be reached"),
        (
            url.set(password=PASSWORD + "x").render_as_string(False),
            InputError,
            "refuses the login: password authentication",
        ),
        (url.set(database="nothing").render_as_string(False), InputError, 'database "nothing" does not exist'),
        (url.update_query_dict({"colour": "red"}).render_as_string(False), InputError, "cannot be used: .*colour"),
        (url.update_query_dict({"sslmode": "require"}).render_as_string(False), QuipuError, "SSL"),
    ]
    for text, kind, message in cases:
        monkeypatch.setenv("SHOP_DB", text)
        error = refused()
        assert isinstance(error, kind), error.message
        assert error.hint
        import re

        assert re.search(message, error.message), error.message
    assert not (tmp_path / "missing.db").exists()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+pg8000"])
def test_urls_as_people_write_them(postgres: Postgres, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    _, _, rest = postgres.url.partition("://")
    monkeypatch.setenv("SHOP_DB", f" {scheme}://{rest}?sslmode=prefer\n")
    assert column(read("SELECT 1 AS a"), "a") == [1]


def test_what_can_be_wrong_with_the_query(shop: Postgres) -> None:
    shop.run("CREATE TABLE t (id int, updated_at timestamp, doc json)")
    shop.run("INSERT INTO t VALUES (1, now(), '{}')")
    assert "refuses the query: syntax error" in refused("SELEC 1").message
    assert 'column "nope" does not exist' in refused("SELECT nope FROM t").message
    assert "has the column 'id' twice" in refused("SELECT id, id FROM t").message
    missing = refused("TABLE t", watermark="update_at")
    assert "no column 'update_at' to be its watermark" in missing.message
    assert missing.hint == "did you mean 'updated_at'?"
    assert "division by zero" in refused("SELECT 1 / (id - 1) AS a FROM t").message
    assert "'nonsense' is no watermark" in refused("TABLE t", "nonsense", watermark="updated_at").message
    assert "'integer:x' is no watermark" in refused("TABLE t", "integer:x", watermark="updated_at").message
    assert "type bool" in refused("SELECT id = 1 AS mark FROM t", watermark="mark").message


def test_a_server_that_is_lost_on_the_way(shop: Postgres) -> None:
    shop.run("CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) i")
    reading = opened("TABLE t", watermark="i").chunks(100)
    assert next(reading).watermark == "integer:100"
    shop.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with pytest.raises(SourceUnavailable) as caught:
        list(reading)
    assert caught.value.retryable
    assert PASSWORD not in caught.value.message


def test_a_spool_is_nobody_elses_and_goes_with_the_process(
    file: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    file.execute("CREATE TABLE t AS SELECT 1 AS a")
    rows = opened("SELECT * FROM t")
    assert len(list(rows.chunks())) == len(list(rows.chunks())) == 1
    assert not list((tmp_path / "scratch").iterdir())


def test_no_rows(file: sqlite3.Connection) -> None:
    file.execute("CREATE TABLE t (a, b)")
    rows = opened("SELECT * FROM t", watermark="b")
    assert rows.columns == ("a", "b")
    assert list(rows.chunks()) == list(rows.chunks()) == []
    assert sample(part("SELECT * FROM t")).schema == pa.schema([("a", pa.string()), ("b", pa.string())])

"""A query to a database as rows: streamed in chunks, from where the last load ended."""

import weakref
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import numpy as np
import sqlalchemy as sa

from etl.mapping import SqlQuery
from etl.sources import pg8000_driver
from etl.sources.database import Database
from etl.sources.rows import CHUNK_ROWS, Chunk
from etl.sources.spool import Spool
from etl.sources.values import ColumnTypes
from etl.sources.watermark import bound, to_text
from graph.errors import InputError, SourceUnavailable


class SqlRows:
    """The rows of a query, in order of its watermark where it has one.

    The database is asked once: whoever reads again reads what was put aside, so that both readings see the same.
    Rows whose watermark is empty come first, each time; nobody could say where to read on from them.

    Args:
        query: what to ask, and of which database.
        since: a `Chunk.watermark` of an earlier reading to go on from, or None for everything.

    Raises:
        InputError: the URL, the query or the watermark is wrong.
        SourceUnavailable: the database cannot be reached.
    """

    def __init__(self, query: SqlQuery, since: str | None = None) -> None:
        self.name = f"sql:{query.url_env}"
        self.rows: int | None = None
        self._query = query
        self._database = Database(query.url_env)
        self._since: sa.BindParameter[Any] | None = None
        if since is not None and query.watermark:
            self._since = bound(since, query.overlap, written=self._database.driver == pg8000_driver.NAME)
        self.columns = self._described()
        self._table = _subquery(query.query, self.columns)
        self._spool: Spool | None = None

    def _described(self) -> tuple[str, ...]:
        nothing = sa.select(sa.text("*")).select_from(_subquery(self._query.query)).where(sa.false())
        with self._database.connected() as connection:
            columns = tuple(connection.execute(nothing).keys())
        twice = {name for name in columns if columns.count(name) > 1}
        if twice:
            raise InputError(f"{self.name}: the query has the column {min(twice)!r} twice", hint="rename one with AS")
        watermark = self._query.watermark
        if watermark is not None and watermark not in columns:
            close = get_close_matches(watermark, columns, n=1)
            raise InputError(
                f"{self.name}: the query has no column {watermark!r} to be its watermark",
                hint=f"did you mean {close[0]!r}?" if close else f"it has {', '.join(columns)}",
            )
        return columns

    def chunks(self, size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """The rows in order, at most `size` a chunk, each with the watermark up to which it reaches.

        Raises:
            SourceUnavailable: the database cannot be reached, or is lost on the way.
            InputError: it refuses the query.
        """
        if self._spool is not None:
            yield from self._spool.chunks(self.name, size)
            return
        spool = Spool()
        discard = weakref.finalize(self, spool.close)
        try:
            for chunk in self._asked(size):
                self._put_aside(spool, chunk)
                yield chunk
            self._spool = spool
        finally:
            if self._spool is not spool:
                discard()

    def close(self) -> None:
        """Forgets what was put aside."""
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def statements(self) -> list[sa.Select[tuple[object, ...]]]:
        """What the database is asked, in order."""
        if self._query.watermark is None:
            return [sa.select(*self._table.c)]
        watermark = self._table.c[self._query.watermark]
        everything = sa.select(*self._table.c)
        beyond = watermark.is_not(None) if self._since is None else watermark >= self._since
        return [everything.where(watermark.is_(None)), everything.where(beyond).order_by(watermark)]

    def _asked(self, size: int) -> Iterator[Chunk]:
        types, number, reached = ColumnTypes(self.columns), 1, None
        place = self.columns.index(self._query.watermark) if self._query.watermark else None
        with self._database.connected() as connection:
            streamed = connection.execution_options(yield_per=size)
            for statement in self.statements():
                with streamed.execute(statement) as result:
                    for rows in result.partitions():
                        if place is not None and rows[-1][place] is not None:
                            reached = to_text(rows[-1][place])
                        numbers = np.arange(number, number + len(rows), dtype=np.int64)
                        yield Chunk(self.name, types.table(rows), numbers, watermark=reached)
                        number += len(rows)

    def _put_aside(self, spool: Spool, chunk: Chunk) -> None:
        try:
            spool.append(chunk)
        except OSError as error:
            raise SourceUnavailable(
                f"{self.name}: its rows cannot be put aside: {error.strerror}",
                hint="make room in the folder of temporary files, or set TMPDIR to another",
            ) from error


def _subquery(query: str, columns: tuple[str, ...] = ()) -> sa.Subquery:
    """The query as a table; its text reaches the database as it was written, colons included."""
    written = query.strip().rstrip(";").replace(":", r"\:")
    quoted: list[sa.ColumnClause[Any]] = [sa.column(sa.quoted_name(name, quote=True)) for name in columns]
    # The line's end keeps a closing comment from swallowing the parenthesis.
    return sa.text(written + "\n").columns(*quoted).subquery("quipu_rows")

"""CSV and Parquet files: chunks of bounded size, and lines that are no rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.sources import expand, open_file
from graph.errors import InputError


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def rows_of(path: Path, size: int) -> tuple[list[tuple[str, ...]], list[int], list[tuple[int, str]]]:
    rows: list[tuple[str, ...]] = []
    numbers: list[int] = []
    broken: list[tuple[int, str]] = []
    for chunk in open_file(path).chunks(size):
        assert 0 < chunk.rows <= size
        rows += zip(*chunk.table.to_pydict().values(), strict=True)
        numbers += chunk.numbers.tolist()
        broken += [(line.number, line.text) for line in chunk.broken]
    return rows, numbers, broken


@pytest.mark.parametrize("size", [1, 2, 100])
def test_broken_lines_are_told_apart_and_their_neighbours_survive(tmp_path: Path, size: int) -> None:
    text = '\ufeffa,b\r\n1,2\r\n\r\n3\n4,5,6\n"7","8\nstill 8"\n"9,10\n11,12\n13,"14'
    rows, numbers, broken = rows_of(written(tmp_path / "x.csv", text), size)
    assert rows == [("1", "2"), ("7", "8\nstill 8"), ("11", "12")]
    assert numbers == [1, 4, 6]
    assert broken == [(2, "3"), (3, "4,5,6"), (5, '"9,10'), (7, '13,"14')]


def test_a_stray_quote_in_a_large_file_costs_one_line(tmp_path: Path) -> None:
    lines = [f"{i},{i}" for i in range(200_000)]
    lines[10] = '10,"10'
    rows, numbers, broken = rows_of(written(tmp_path / "x.csv", "a,b\n" + "\n".join(lines) + "\n"), 50_000)
    assert len(rows) == 199_999
    assert broken == [(11, '10,"10')]
    assert sorted([*numbers, 11]) == list(range(1, 200_001))


def test_bytes_that_are_not_utf8_are_windows_text(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b\n\xff,1\nx\x00y,2\n")
    assert rows_of(path, 10)[0] == [("ÿ", "1"), ("x\x00y", "2")]


cells = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r"), max_size=6)


@given(st.lists(st.tuples(cells, cells), max_size=12), st.integers(1, 5))
def test_any_text_that_is_quoted_properly_comes_back(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, str]], size: int
) -> None:
    quoted = ["a,b", *(",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in table)]
    path = written(tmp_path_factory.mktemp("csv") / "x.csv", "\n".join(quoted) + "\n")
    rows, _, broken = rows_of(path, size)
    assert rows == table
    assert broken == []


def test_parquet_in_chunks(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": np.arange(25)}), tmp_path / "x.parquet", row_group_size=7)
    file = open_file(tmp_path / "x.parquet")
    assert file.rows == 25
    assert file.columns == ("a",)
    chunks = list(file.chunks(10))
    assert np.concatenate([c.numbers for c in chunks]).tolist() == list(range(1, 26))
    assert [v for c in chunks for v in c.table["a"].to_pylist()] == list(range(25))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"", "is empty"),
        ("x.csv", b"\n\n", "is empty"),
        ("x.csv", b"a,a\n1,2\n", "has the column 'a' twice"),
        ("x.parquet", b"", "is empty"),
        ("x.parquet", b"PAR1 but not really", "cannot be read"),
        ("x.xlsx", b"PK", "neither CSV .* nor Parquet"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_file(tmp_path / name)


def test_a_parquet_file_that_is_damaged_further_in(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": np.random.default_rng(1).random(5_000)}), path, compression="snappy")
    data = bytearray(path.read_bytes())
    data[4:2000] = bytes(1996)
    path.write_bytes(data)
    with pytest.raises(InputError, match="cannot be read"):
        list(open_file(path).chunks())


def test_patterns_hold_beside_the_mapping_then_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "b.csv").touch()
    (there / "a.csv").touch()
    (here / "d.csv").touch()
    monkeypatch.chdir(here)
    assert expand(["b.csv"], there) == [there / "b.csv"]
    odd = tmp_path / "a [b] c"
    odd.mkdir()
    (odd / "x.csv").touch()
    assert expand(["*.csv"], odd) == [odd / "x.csv"]
    assert expand(["d.csv"], there) == [Path("d.csv")]
    assert expand(["a*.csv", str(there / "*.csv")], there) == [there / "a.csv", there / "b.csv"]
    with pytest.raises(InputError, match=r"no file matches 'c\*\.csv'"):
        expand(["c*.csv"], there)

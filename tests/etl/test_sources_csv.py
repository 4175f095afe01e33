"""CSV as the world writes it: signs, quotes, encodings; what Arrow reads at once is what a careful reader reads."""

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from etl.mapping import Csv
from etl.sources import Chunk, open_file
from etl.sources.csv_file import pieces, recognise
from graph.errors import InputError


def chunk(path: Path, csv_format: Csv | None = None) -> Chunk:
    """The file's rows in one chunk."""
    (only,) = open_file(path, csv_format).chunks(100_000)
    return only


def rows(path: Path, csv_format: Csv | None = None) -> list[tuple[str, ...]]:
    """The file's rows, none of which may be broken."""
    read = chunk(path, csv_format)
    assert not read.broken
    return list(zip(*read.table.to_pydict().values(), strict=True))


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_signs_are_recognised(tmp_path: Path, delimiter: str, end: str, quote: str) -> None:
    table = [
        ("1", f"Cevichería {quote}La Mar{quote}", "1,50"),
        ("2", f"a{delimiter}b", "2;50|3\t4"),
        ("3", "", 'O\'Higgins "x"'),
        ("4", "plain", "4"),
    ]
    lines = [[" id ", "name", "amount"], *table]
    text = end.join(delimiter.join(quote + v.replace(quote, quote * 2) + quote for v in line) for line in lines)
    path = write(tmp_path / "x.txt", text + end)
    assert open_file(path).columns == ("id", "name", "amount")
    assert rows(path) == table


def test_a_decimal_comma_is_no_delimiter(tmp_path: Path) -> None:
    text = "id;total;city\n" + "".join(f"{i};1,5{i};Lima, Perú\n" for i in range(30))
    assert rows(write(tmp_path / "x.csv", text))[7] == ("7", "1,57", "Lima, Perú")


def test_signs_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "a;b,c\n1;2,3\n'x,y',4\n")
    assert rows(path, Csv(delimiter=",", quote="'")) == [("1;2", "3"), ("x,y", "4")]


def test_one_column_needs_no_delimiter(tmp_path: Path) -> None:
    assert rows(write(tmp_path / "x.csv", 'id\n1\n\n"2"\n')) == [("1",), ("2",)]
    assert open_file(write(tmp_path / "x.tsv", "id\n1\n")).columns == ("id",)


def test_quotes_may_be_escaped_by_a_backslash(tmp_path: Path) -> None:
    text = 'id,name\n1,"the \\"best\\" one, they say"\n2,"C:\\\\"\n3,"back\\slash"\n4,C:\\temp\n5,"a\\"",\n6,"a\\""\n'
    read = chunk(write(tmp_path / "x.csv", text))
    assert read.table.to_pydict() == {
        "id": ["1", "2", "3", "4", "6"],
        "name": ['the "best" one, they say', "C:\\", "back\\slash", "C:\\temp", 'a"'],
    }
    assert [line.number for line in read.broken] == [5]


def test_a_backslash_before_the_closing_quote_where_quotes_are_doubled(tmp_path: Path) -> None:
    text = 'id,folder,name\n1,"C:\\",x\n2,"D:\\","say ""x"""\n'
    assert rows(write(tmp_path / "x.csv", text)) == [("1", "C:\\", "x"), ("2", "D:\\", 'say "x"')]


def test_blanks_before_quotes(tmp_path: Path) -> None:
    assert rows(write(tmp_path / "x.csv", 'id, name\n1, "a, b"\n2, c\n')) == [("1", "a, b"), ("2", " c")]


def test_columns_without_a_name_are_named_by_their_place(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", ",amount,\n0,5,x\n")
    assert open_file(path).columns == ("column_1", "amount", "column_3")


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-8", b""),
    ],
)
def test_byte_order_marks(tmp_path: Path, encoding: str, mark: bytes) -> None:
    text = 'año;name\r\n1;Ñuñoa 🍽\r\n2;"x\r\ny"\r\n'
    path = write(tmp_path / "x.csv", mark + text.encode(encoding))
    assert open_file(path).columns == ("año", "name")
    assert rows(path) == [("1", "Ñuñoa 🍽"), ("2", "x\r\ny")]


def test_windows_text_is_recognised_however_far_in_it_begins(tmp_path: Path) -> None:
    """The first such byte comes after 6 MB, and after lines that are UTF-8."""
    lines = [f"{i},restaurante ceviche número uno" for i in range(200_000)]
    text = "\n".join(["id,name", *lines, "200000,"]).encode() + "Peñarol €".encode("cp1252") + b"\n200001,\x81\n"
    read = list(open_file(write(tmp_path / "x.csv", text)).chunks(60_000))
    names = [name for c in read for name in c.table["name"].to_pylist()]
    assert len(names) == 200_002
    assert set(names[:200_000]) == {"restaurante ceviche número uno"}
    assert names[200_000:] == ["Peñarol €", "\x81"]


def test_an_encoding_that_is_named_is_kept_to(tmp_path: Path) -> None:
    content = "id,name\n1,ñandú\n2,x\n".encode("latin-1")
    assert rows(write(tmp_path / "x.csv", content), Csv(encoding="latin-1")) == [("1", "ñandú"), ("2", "x")]
    for encoding in ("utf-8", "ascii"):
        read = chunk(tmp_path / "x.csv", Csv(encoding=encoding))
        assert read.table.to_pydict() == {"id": ["2"], "name": ["x"]}
        assert [line.number for line in read.broken] == [1]
    odd = write(tmp_path / "y.csv", "id,名\n1,寿司\n".encode("shift_jis"))
    assert rows(odd, Csv(encoding="shift_jis")) == [("1", "寿司")]
    for encoding in ("no-such", "base64", "rot13"):
        with pytest.raises(InputError, match=f"no encoding '{encoding}'"):
            open_file(odd, Csv(encoding=encoding))


def test_utf16_that_ends_within_a_character_loses_that_line(tmp_path: Path) -> None:
    content = codecs.BOM_UTF16_LE + "a,b\n1,2\n3,4".encode("utf-16-le")[:-1]
    read = chunk(write(tmp_path / "x.csv", content))
    assert read.table.to_pydict() == {"a": ["1"], "b": ["2"]}
    assert len(read.broken) == 1


def test_a_header_whose_quote_never_closes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="header that cannot be read"):
        open_file(write(tmp_path / "x.csv", '"a,b\n1,2\n'))


def careful(path: Path, width: int) -> tuple[list[tuple[int, list[str]]], list[tuple[int, str]]]:
    """A reader that takes one line after the other: rows and broken lines, with their numbers."""
    lines = path.read_bytes().decode().split("\n")[1:]
    lines = [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    good, broken = [], []
    number = at = 0
    while at < len(lines):
        if not lines[at].rstrip("\r\n") and not lines[at].startswith("\r\r"):
            at += 1
            continue
        number += 1
        taken = 0

        def following(start: int = at) -> Iterator[str]:
            nonlocal taken
            for line in lines[start:]:
                taken += 1
                yield line

        try:
            row = next(csv.reader(following(), strict=True))
        except csv.Error:
            row = []
        if len(row) == width:
            good.append((number, row))
            at += taken
        else:
            broken.append((number, lines[at].rstrip("\r\n")))
            at += 1
    return good, broken


ragged = st.lists(st.sampled_from(["x", "é", ",", ",", '"', '"', '""', "\n", "\n", "\r\n", '","', " "]), max_size=40)


@given(ragged.map("".join), st.integers(1, 3), st.sampled_from([1, 2, 3, 7, 1 << 20]))
@example('"\n",\n', 2, 3)
@example(',""\n"",\n', 2, 5)
@example(', x"', 2, 1)
def test_reading_blocks_at_once_is_reading_line_by_line(
    tmp_path_factory: pytest.TempPathFactory, text: str, width: int, block: int
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    path = write(folder / "x.csv", ",".join("abc"[:width]) + "\n" + text.replace(' "', '"'))
    how = recognise(path, Csv(delimiter=",", quote='"'))
    good: list[tuple[int, list[str]]] = []
    broken: list[tuple[int, str]] = []
    for piece in pieces(path, how, block):
        columns = [piece.table.column(i).to_pylist() for i in range(width)]
        good += zip(piece.numbers.tolist(), map(list, zip(*columns, strict=True)), strict=True)
        broken += [(line.number, line.text) for line in piece.broken]
    assert (good, broken) == careful(path, width)

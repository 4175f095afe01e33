"""JSON, compressed files and folders."""

import bz2
import gzip
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl.mapping import AttributeFiles, Source
from etl.sources import expand, open_file, open_rows, sample
from graph.errors import InputError

TEXT = "id,name\n" + "".join(f"{i},número {i}\n" for i in range(20_000))


def read(path: Path, size: int = 7_000) -> pa.Table:
    return pa.concat_tables([chunk.table for chunk in open_file(path).chunks(size)])


def zipped(text: bytes, name: str = "orders.csv", *others: str) -> bytes:
    """An archive as macOS makes them, with the file and perhaps others."""
    import io

    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("folder")
        archive.writestr(f"folder/{name}", text)
        archive.writestr(f"__MACOSX/folder/._{name}", b"junk")
        for other in others:
            archive.writestr(other, b"")
    return made.getvalue()


def zstandard(text: bytes) -> bytes:
    made = pa.BufferOutputStream()
    with pa.CompressedOutputStream(made, "zstd") as stream:
        stream.write(text)
    return bytes(made.getvalue())


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard,
    ".zip": zipped,
}


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_compressed_files(tmp_path: Path, suffix: str) -> None:
    packed = COMPRESSIONS[suffix](TEXT.encode())
    for name in (f"a.csv{suffix}", "told_by_its_content.csv"):
        (tmp_path / name).write_bytes(packed)
        table = read(tmp_path / name)
        assert table.num_rows == 20_000
        assert table["name"][-1].as_py() == "número 19999"


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_compressed_files_that_end_too_soon(tmp_path: Path, suffix: str) -> None:
    packed = COMPRESSIONS[suffix](TEXT.encode())
    path = tmp_path / f"a.csv{suffix}"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    with pytest.raises(InputError, match="cannot be read"):
        read(path)


def test_several_members_of_gzip_follow_each_other(tmp_path: Path) -> None:
    half = len(TEXT) // 2
    for suffix, pack in ((".gz", gzip.compress), (".zst", zstandard), (".xz", lzma.compress), (".bz2", bz2.compress)):
        (tmp_path / f"a.csv{suffix}").write_bytes(pack(TEXT[:half].encode()) + pack(TEXT[half:].encode()))
        assert read(tmp_path / f"a.csv{suffix}").num_rows == 20_000


def test_archives(tmp_path: Path) -> None:
    (tmp_path / "orders.zip").write_bytes(zipped(b'{"a": 1}\n', "orders.jsonl"))
    assert read(tmp_path / "orders.zip").to_pydict() == {"a": [1]}
    (tmp_path / "two.zip").write_bytes(zipped(TEXT.encode(), "orders.csv", "more.csv"))
    with pytest.raises(InputError, match="holds 2 files"):
        open_file(tmp_path / "two.zip")
    (tmp_path / "no.zip").write_bytes(b"this is none")
    with pytest.raises(InputError, match="cannot be read"):
        open_file(tmp_path / "no.zip")
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress(b"PAR1"))
    with pytest.raises(InputError, match="compressed again"):
        open_file(tmp_path / "a.parquet.gz")


LINES = """{"id": 1, "amount": 10, "card": {"bin": "411111", "ok": true}, "tags": ["a", "ñ"], "paid": true}

{"id": 2, "amount": 10.5, "late": "2024-01-01"}
{"id": 3,
[1, 2]
{"id": "x4", "amount": null, "paid": false}
{"id": 5, "amount": NaN}
"""


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(LINES)
    file = open_file(path)
    assert file.columns == ("id", "amount", "card", "tags", "paid", "late")
    assert file.rows == 6
    for size in (1, 2, 100):
        chunks = list(file.chunks(size))
        assert all(0 < chunk.rows <= size for chunk in chunks)
        table = pa.concat_tables([chunk.table for chunk in chunks])
        assert table.schema.types == [
            pa.string(), pa.float64(), pa.string(), pa.string(), pa.bool_(), pa.string()
        ]  # fmt: skip
        assert table["id"].to_pylist() == ["1", "2", "x4", "5"]
        assert table["amount"].to_pylist()[:3] == [10.0, 10.5, None]
        assert json.loads(table["card"][0].as_py()) == {"bin": "411111", "ok": True}
        assert table["tags"].to_pylist() == ['["a", "ñ"]', None, None, None]
        assert table["paid"].to_pylist() == [True, None, False, None]
        assert [n for chunk in chunks for n in chunk.numbers.tolist()] == [1, 2, 5, 6]
        assert [(b.number, b.text) for chunk in chunks for b in chunk.broken] == [(3, '{"id": 3,'), (4, "[1, 2]")]


def test_json_in_other_encodings(tmp_path: Path) -> None:
    line = '{"name": "Peñarol"}\n'
    for encoding in ("utf-8-sig", "utf-16", "latin-1"):
        (tmp_path / "x.ndjson").write_bytes(line.encode(encoding))
        assert read(tmp_path / "x.ndjson").to_pydict() == {"name": ["Peñarol"]}


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array(tmp_path: Path, indent: int | None) -> None:
    """Larger than what is read at a time."""
    objects = [{"id": i, "text": "x" * 100, "big": 2**70} for i in range(60_000)]
    path = tmp_path / "x.json"
    path.write_text(json.dumps([*objects, 7], indent=indent))
    file = open_file(path)
    assert file.rows == 60_001
    chunks = list(file.chunks(50_000))
    assert [chunk.table.num_rows for chunk in chunks] == [50_000, 10_000]
    assert chunks[1].table["id"][-1].as_py() == 59_999
    assert chunks[1].table["big"][-1].as_py() == str(2**70)
    assert [(b.number, b.text) for b in chunks[1].broken] == [(60_001, "7")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": 1}, {"a": 2}', "array never ends"),
        ('[{"a": 1}, {"a": oops}, {"a": 3}]', "after element 1 "),
        ('{\n  "a": 1\n}\n', "no JSON object that stands in one line"),
        ("  \n", "is empty"),
    ],
)
def test_json_that_cannot_be_read(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=message):
        open_file(tmp_path / "x.json")


def test_folders_and_globs(tmp_path: Path) -> None:
    names = [
        "year=2024/part-1.csv", "year=2024/part-0.csv", "year=2025/deep/part-0.csv.gz", "top.jsonl",
        "_SUCCESS", "_temporary/part-9.csv", ".hidden.csv", "year=2024/.part-0.csv.crc", "README.md", "notes.csv.bak",
    ]  # fmt: skip
    for name in names:
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text("{}" if name.endswith("l") else "a\n1\n")
    folder = tmp_path / "data"

    def found(*patterns: str) -> list[str]:
        return [path.relative_to(folder).as_posix() for path in expand(patterns, tmp_path)]

    everything = ["top.jsonl", "year=2024/part-0.csv", "year=2024/part-1.csv", "year=2025/deep/part-0.csv.gz"]
    assert found("data") == found("data/") == everything
    assert found("data/year=*") == everything[1:]
    assert found("data/**/*.csv") == everything[1:3]
    assert found("data/year=2024/*") == everything[1:3]
    assert found("data/_SUCCESS") == ["_SUCCESS"]
    assert found("data/year=2025", "data") == [everything[3], *everything[:3]]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no file that can be read matches 'empty'"):
        expand(["empty"], tmp_path)


def test_a_mapping_says_how_its_csv_is_written(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("key;año\n1;ñ\n".encode("cp850"))
    part = AttributeFiles.model_validate({"key": "key", "files": "x.csv", "csv": {"encoding": "cp850"}})
    (opened,) = open_rows(part, tmp_path)
    assert opened.columns == ("key", "año")
    assert next(opened.chunks()).table.to_pydict() == {"key": ["1"], "año": ["ñ"]}


def test_samples(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TEXT)
    assert sample(tmp_path / "a.csv", 10).to_pydict()["id"] == [str(i) for i in range(10)]
    assert sample(tmp_path).num_rows == 2_000
    pq.write_table(pa.table({"n": range(5)}), tmp_path / "b.parquet")
    assert sample(Source(files=("b.parquet",)), folder=tmp_path).schema == pa.schema([("n", pa.int64())])
    (tmp_path / "c.csv").write_text("id,name\n1\n2,b\n")
    assert sample(tmp_path / "c.csv").to_pydict() == {"id": ["2"], "name": ["b"]}
    (tmp_path / "d.csv").write_text("id,name\n")
    assert sample(tmp_path / "d.csv").schema == pa.schema([("id", pa.string()), ("name", pa.string())])

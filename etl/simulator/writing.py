"""A world as files: what a platform would hand over, a mapping for it, and the truth in a folder of its own."""

import json
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
import yaml

from etl.simulator.sequel import fresh_ring, regular_visit
from etl.simulator.world import World
from graph.errors import InputError
from graph.progress import Progress, Silent

Format = Literal["parquet", "csv"]
_BROKEN_LINES = 0.05
"""Broken lines of a messy CSV file, as a share of the rows that are damaged."""
_HEADER = "# Made by `quipu simulate`. Load it with `quipu ingest mapping.yaml`; truth/ is for judging models only.\n"


def write(world: World, folder: Path, file_format: Format = "parquet", progress: Progress | None = None) -> list[Path]:
    """Writes a world into a folder, replacing files of an earlier world; returns the files.

    `transactions.parquet` (or `.csv`), `labels.csv`, `users.csv`, `contacts.csv` (names and e-mail addresses, which the
    mapping leaves out), `devices.csv`, `restaurants.csv`, `rates.csv`, `mapping.yaml`, and `truth/` with
    `fraud.parquet`, `rings.json` and `demo.json`. Times in CSV are ISO 8601 in UTC. Where the settings ask for a mess,
    a share of the transactions is damaged, and `truth/damage.parquet` says which, and how.

    `truth/demo.json` holds transactions after the world's end, as bodies of scoring requests: `history`, of a ring that
    is not among the files, and then `ordinary` and `ring`, the two to score.

    Raises:
        InputError: the folder cannot be written to.
    """
    truth = folder / "truth"
    transactions = folder / f"transactions.{file_format}"
    try:
        truth.mkdir(parents=True, exist_ok=True)
        (folder / f"transactions.{'csv' if file_format == 'parquet' else 'parquet'}").unlink(missing_ok=True)
        with (progress or Silent()).stage("writing", total=10) as advance:
            files = [transactions]
            (truth / "damage.parquet").unlink(missing_ok=True)
            if world.settings.mess > 0:
                files.append(truth / "damage.parquet")
                pa.parquet.write_table(_write_messy(world, transactions), files[-1], compression="zstd")
            else:
                _write_table(world.transactions, transactions)
            advance(1)
            for name, text in _texts(world).items():
                files.append(folder / name)
                _write_csv(text, files[-1])
                advance(1)
            files += [folder / "mapping.yaml", truth / "fraud.parquet", truth / "rings.json", truth / "demo.json"]
            described = mapping(transactions.name)
            if world.settings.mess > 0:
                described["quarantine"] = {"limit": min(1.0, round(0.05 + world.settings.mess, 6))}
            files[-4].write_text(_HEADER + yaml.safe_dump(described, sort_keys=False, allow_unicode=True), "utf-8")
            pa.parquet.write_table(world.truth, files[-3], compression="zstd")
            advance(1)
            files[-2].write_text(json.dumps(world.rings, indent=1), "utf-8")
            advance(1)
            files[-1].write_text(json.dumps(demo(world), indent=1, ensure_ascii=False), "utf-8")
            advance(1)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}", hint="give another folder") from error
    return files


def mapping(transactions: str) -> dict[str, Any]:
    """The mapping of a world's files, whose transactions are in the file of this name beside it."""
    columns = ("restaurant_id", "device_id", "ip", "amount", "currency", "payment_method", "transaction_type", "city")
    return {
        "name": "simulated",
        "source": {"files": transactions},
        "transaction": {
            "transaction_id": "transaction_id",
            "occurred_at": {"column": "occurred_at", "timezone": "UTC"},
            "user_id": "user_id",
            **{name: name for name in columns},
            "amount": {"column": "amount", "negative": "refund"},
            "times": ["account_created_at"],
        },
        "currencies": {"base": "PEN", "rates": "rates.csv"},
        "labels": {
            "files": "labels.csv",
            "transaction_id": "transaction_id",
            "is_fraud": "is_fraud",
            "known_at": "known_at",
            "source": "source",
        },
        "attributes": {
            "user": {"files": "users.csv", "key": "user_id"},
            "device": {"files": "devices.csv", "key": "device_id"},
            "restaurant": {"files": "restaurants.csv", "key": "restaurant_id"},
        },
    }


def demo(world: World) -> dict[str, Any]:
    """What `truth/demo.json` holds: the same for the same world."""
    *history, ring = fresh_ring(world, world.settings.seed)
    return {"history": history, "ordinary": regular_visit(world, world.settings.seed), "ring": ring}


def _texts(world: World) -> dict[str, pa.Table]:
    return {
        "labels.csv": world.labels,
        "users.csv": world.users,
        "contacts.csv": world.contacts,
        "devices.csv": world.devices,
        "restaurants.csv": world.restaurants,
        "rates.csv": world.rates,
    }


def _write_messy(world: World, path: Path) -> pa.Table:
    """Writes the transactions in a damaged form; returns the damage."""
    from etl.simulator.mess import break_lines, damage

    share, seed = world.settings.mess, world.settings.seed
    messy, damaged = damage(world.transactions, share, seed)
    _write_table(messy, path)
    return break_lines(path, damaged, share * _BROKEN_LINES, seed) if path.suffix == ".csv" else damaged


def _write_table(table: pa.Table, path: Path) -> None:
    if path.suffix == ".csv":
        _write_csv(table, path)
    else:
        pa.parquet.write_table(table, path, compression="zstd")


def _write_csv(table: pa.Table, path: Path) -> None:
    columns = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_timestamp(column.type):
            column = pc.strftime(column.cast(pa.timestamp("s", tz="UTC")), format="%Y-%m-%dT%H:%M:%SZ")
        elif pa.types.is_floating(column.type) and name == "amount":
            column = column.cast(pa.decimal128(14, 2))
        columns[name] = column
    pa.csv.write_csv(pa.table(columns), path, pa.csv.WriteOptions(quoting_style="needed"))

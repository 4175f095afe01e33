"""One interval of a schedule: done again it adds nothing, late rows come with a later one, silence is told."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from etl.loading.interval import HOUR, load_interval
from graph.errors import LimitExceeded, SourceUnavailable
from graph.job_metrics import collected
from graph.records import DAY
from graph.store import Store, open_store

MARCH = 1_740_787_200_000_000  # 2025-03-01
MAPPING = {
    "name": "shop",
    "source": {"files": "in/*.csv"},
    "transaction": {"transaction_id": "id", "occurred_at": {"column": "at", "timezone": "UTC"}, "user_id": "user",
                    "amount": "amount"},
    "quarantine": {"limit": 0.5},
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "in").mkdir()
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(MAPPING))
    return open_store(f"sqlite:///{tmp_path}/store.db")


def deliver(folder: Path, name: str, *rows: tuple[str, str, object]) -> None:
    table = pd.DataFrame([(i, at, f"u{i}", amount) for i, at, amount in rows], columns=["id", "at", "user", "amount"])
    table.to_csv(folder / "in" / f"{name}.csv", index=False)


def refresh(folder: Path, store: Store, day: int, *, overlap: int = 3 * DAY, late: int = DAY) -> dict[str, object]:
    since = MARCH + (day - 1) * DAY
    return load_interval(
        folder / "shop.yaml", store, since=since, until=since + DAY, overlap=overlap, late=late, var=folder / "var"
    )


def test_days_one_after_the_other_again_and_late_rows(tmp_path: Path, store: Store) -> None:
    deliver(tmp_path, "one", ("a", "2025-03-01 10:00:00", 5), ("b", "2025-03-02 11:00:00", 6))
    first = refresh(tmp_path, store, 1)
    assert (first["read"], first["loaded"]) == (1, 1)
    deliver(tmp_path, "two", ("late", "2025-03-01 12:00:00", 7), ("c", "2025-03-02 12:00:00", 8))
    second = refresh(tmp_path, store, 2)
    assert (second["loaded"], second["duplicates"]) == (3, 1)
    assert second["before"]["transactions"] == 1  # type: ignore[index]
    assert second["after"]["transactions"] == 4  # type: ignore[index]
    for day in (1, 2):
        assert refresh(tmp_path, store, day)["loaded"] == 0
    assert store.status()["transactions"] == 4


def test_without_overlap_a_late_row_is_left_out(tmp_path: Path, store: Store) -> None:
    deliver(tmp_path, "one", ("a", "2025-03-01 10:00:00", 5))
    refresh(tmp_path, store, 1)
    deliver(tmp_path, "two", ("late", "2025-03-01 12:00:00", 7), ("c", "2025-03-02 12:00:00", 8))
    assert refresh(tmp_path, store, 2, overlap=0)["loaded"] == 1


def test_a_silent_source_is_an_outage_until_it_delivers(tmp_path: Path, store: Store) -> None:
    deliver(tmp_path, "old", ("a", "2025-03-01 10:00:00", 5))
    with pytest.raises(SourceUnavailable, match=r"2025-03-01.*more than 24 hours older") as told:
        refresh(tmp_path, store, 3)
    assert told.value.retryable
    assert store.status()["transactions"] == 1
    assert refresh(tmp_path, store, 3, late=72 * HOUR)["loaded"] == 0
    deliver(tmp_path, "new", ("b", "2025-03-03 10:00:00", 5))
    assert refresh(tmp_path, store, 3)["loaded"] == 1


def test_an_empty_store_and_source_are_told_too(tmp_path: Path, store: Store) -> None:
    deliver(tmp_path, "later", ("a", "2025-03-09 10:00:00", 5))
    with pytest.raises(SourceUnavailable, match="no transaction before 2025-03-02"):
        refresh(tmp_path, store, 1)


def test_too_much_that_cannot_be_used_stops_it_and_is_counted(tmp_path: Path, store: Store) -> None:
    deliver(tmp_path, "one", *((f"t{i}", "2025-03-01 10:00:00", "much" if i % 4 else 5) for i in range(200)))
    with pytest.raises(LimitExceeded):
        refresh(tmp_path, store, 1)
    assert store.status()["transactions"] == 0
    assert b'quipu_ingest_stopped_total{mapping="shop"} 1.0' in collected(tmp_path / "var")

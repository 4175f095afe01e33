"""Guessing how values are written: labels, times, and the signs of amounts."""

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from etl.guessing.guess import guess
from tests.etl.guessing_samples import NOW, ROWS, Maker, loaded, table
from tests.etl.guessing_shapes import handbook, spanish


def test_a_date_that_only_frauds_have_says_when_they_became_known() -> None:
    found = guess(table(spanish(Maker())), NOW)
    assert found.label == {
        "is_fraud": {"column": "fraude", "fraud": ["Sí"]},
        "known_at": {"column": "fecha_contracargo"},
        "genuine_after": found.label and found.label["genuine_after"],
    }
    assert 40 <= int(found.label["genuine_after"].removesuffix("d")) <= 61


@pytest.mark.parametrize(
    ("values", "fraud", "genuine"),
    [
        (["0", "1"], [1], [0]),
        (["0.0", "1.0"], [1], [0]),
        (["False", "True"], ["True"], ["False"]),
        (["No", "Sí"], ["Sí"], ["No"]),
        (["legit", "fraud"], ["fraud"], ["legit"]),
        (["genuine", "fraudulent"], ["fraudulent"], ["genuine"]),
        (["non-fraud", "fraud"], ["fraud"], ["non-fraud"]),
        (["A", "B"], ["B"], ["A"]),
        (["1", "2"], [1], [2]),
    ],
)
def test_values_of_labels(values: list[str], fraud: list[Any], genuine: list[Any]) -> None:
    maker = Maker()
    columns = handbook(maker) | {"TX_FRAUD": np.where(maker.fraud, values[1], values[0])}
    del columns["TX_FRAUD_KIND"]
    if values == ["1", "2"]:
        columns["TX_FRAUD"] = np.where(maker.fraud, "1", "2")
    sample = table(columns)
    found = guess(sample, NOW)
    assert found.label is not None
    assert found.label["is_fraud"] == {"column": "TX_FRAUD", "fraud": fraud, "genuine": genuine}
    assert loaded(found, sample).fraud == int(maker.fraud.sum())


@pytest.mark.parametrize(
    ("form", "how"),
    [
        ("%d/%m/%Y %H:%M", {"day_first": True, "timezone": "UTC"}),
        ("%m/%d/%Y %H:%M", {"timezone": "UTC"}),
        ("%Y-%m-%dT%H:%M:%SZ", {}),
        ("%Y%m%d%H%M%S", {"format": "%Y%m%d%H%M%S", "timezone": "UTC"}),
        ("%Y%m%d", {"format": "%Y%m%d", "timezone": "UTC"}),
    ],
)
def test_forms_of_times(form: str, how: dict[str, Any]) -> None:
    maker = Maker()
    columns = handbook(maker) | {"TX_DATETIME": maker.times(form)}
    sample = table(columns)
    found = guess(sample, NOW)
    expected = {"column": "TX_DATETIME", **how}
    assert found.transaction["occurred_at"] == (expected if how else "TX_DATETIME")
    trial = loaded(found, sample)
    assert trial.accepted == trial.rows, trial.reasons


def test_days_that_could_be_months_are_asked_about() -> None:
    maker = Maker()
    columns = handbook(maker) | {"TX_DATETIME": [f"0{1 + i % 9}/0{1 + i % 7}/2023 10:00" for i in range(ROWS)]}
    found = guess(table(columns), NOW)
    (finding,) = [finding for finding in found.findings if finding.taken_as == "occurred_at"]
    assert "third of April" in finding.doubt


@pytest.mark.parametrize(
    ("day", "clock"),
    [("%Y-%m-%d", "%H:%M"), ("%d/%m/%Y", "%I:%M:%S %p"), ("%Y-%m-%d 00:00:00", "%H:%M:%S"), ("%Y-%m-%d", "%H"),
     ("%d.%m.%y", "%H:%M")],
)  # fmt: skip
def test_a_date_and_a_time_of_day_in_two_columns_are_one_time(day: str, clock: str) -> None:
    columns = handbook(Maker())
    stamps = [datetime.fromisoformat(s) for s in columns.pop("TX_DATETIME")]
    columns = {key: columns[key] for key in ("TRANSACTION_ID", "CUSTOMER_ID", "TX_AMOUNT", "TX_FRAUD")}
    split = {"date": [f"{s:{day}}" for s in stamps], "hour": [f"{s:{clock}}" for s in stamps]}
    sample = table({**split, **columns})
    found = guess(sample, NOW)
    (finding,) = [finding for finding in found.findings if finding.taken_as == "occurred_at"]
    assert finding.columns == ("date", "hour")
    assert found.transaction["occurred_at"]["column"] == ["date", "hour"]
    assert "time of day" not in finding.doubt
    assert loaded(found, sample).accepted == ROWS


def test_a_time_of_day_that_cannot_be_read_is_told() -> None:
    columns = handbook(Maker())
    stamps = columns.pop("TX_DATETIME")
    sample = table({"date": [s[:10] for s in stamps], "hour": [str(25 + i % 9) for i in range(ROWS)], **columns})
    found = guess(sample, NOW)
    (finding,) = [finding for finding in found.findings if finding.taken_as == "occurred_at"]
    assert finding.columns == ("date",)
    assert "the time of day stands in hour" in finding.doubt
    assert loaded(found, sample).accepted == ROWS


@pytest.mark.parametrize(("back", "key"), [("refund", "transaction_type"), ("debit", "categorical")])
def test_types_that_name_no_refunds_hold_no_negative_amounts_back(back: str, key: str) -> None:
    columns = handbook(Maker())
    signs = np.where(np.arange(ROWS) % 40 == 0, -1, 1)
    columns["TX_AMOUNT"] = [float(v) * int(sign) for v, sign in zip(columns["TX_AMOUNT"], signs, strict=True)]
    sample = table(columns | {"TX_TYPE": np.where(signs < 0, back, "sale")})
    found = guess(sample, NOW)
    assert "TX_TYPE" in found.transaction[key]
    trial = loaded(found, sample)
    assert trial.accepted == trial.rows, trial.reasons

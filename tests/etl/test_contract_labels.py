"""The contract of labels, in rows and in files of their own, and of attributes."""

import numpy as np
import pyarrow as pa
import pytest

from etl.contract.checked import CheckedRows, Clock, Window
from etl.contract.pseudonyms import Pseudonyms
from etl.contract.related import AttributeContract, LabelContract
from etl.sources import Chunk
from graph.records import DAY
from tests.etl.checking import NOW, Row, check, chunk, facts, mapping, refused
from tests.etl.shop import DAY_1, GOOD

LABEL_FILES = {"files": "l.csv", "transaction_id": ["shop", "tx"], "is_fraud": "f", "known_at": "k", "source": "s"}
LABEL = {"shop": "a", "tx": "1", "f": "1", "k": "2024-03-05", "s": "desk"}


def check_labels(*rows: Row, window: Window | None = None) -> CheckedRows:
    how = mapping({"transaction_id": ["shop", "id"]}, labels=LABEL_FILES)
    assert how.labels is not None
    return LabelContract(how, how.labels, Pseudonyms(how), Clock(NOW), window or Window()).check(chunk(rows))


def test_labels_in_rows_and_their_faults_cost_no_transaction() -> None:
    how = mapping(label={"is_fraud": "fraud", "known_at": "known"})
    labels = [
        ("1", "2024-03-05"), ("no", "2024-03-05"), ("", ""), ("maybe", "2024-03-05"), ("1", ""), ("1", "soon"),
        ("1", "2024-02-01"), ("1", "2026-01-01"), ("1", "1980-01-01"), ("maybe", "soon"),
    ]  # fmt: skip
    checked = check(how, *({**GOOD, "fraud": fraud, "known": known} for fraud, known in labels))
    assert len(checked.positions) == len(labels)
    assert checked.labels is not None
    assert checked.labels.value.tolist() == [1, 0, -1, *[-2] * 7]
    assert checked.labels.unreadable() == {
        "bad_label": 2, "missing_label_time": 1, "bad_label_time": 3, "label_before_transaction": 1,
    }  # fmt: skip
    assert checked.newest == DAY_1 + 4 * DAY


def test_a_delay_may_end_in_the_future() -> None:
    how = mapping(label={"is_fraud": "fraud", "known_at": {"delay": "7d"}})
    checked = check(how, {**GOOD, "fraud": "1", "at": "2025-06-14"})
    assert checked.labels is not None
    assert checked.labels.value.tolist() == [1]
    assert checked.labels.known_at[0] > NOW


@pytest.mark.parametrize(
    ("change", "reason", "column", "value"),
    [
        ({"shop": "", "tx": "null"}, "missing_transaction_id", "shop, tx", ", null"),
        ({"tx": "x" * 1025}, "id_too_long", "shop, tx", ("a, " + "x" * 1025)[:200]),
        ({"f": ""}, "missing_label", "f", ""),
        ({"f": "?"}, "bad_label", "f", "?"),
        ({"k": ""}, "missing_label_time", "k", ""),
        ({"k": "soon"}, "bad_label_time", "k", "soon"),
        ({"k": "1980-01-01"}, "bad_label_time", "k", "1980-01-01"),
        ({"k": "2025-06-16"}, "bad_label_time", "k", "2025-06-16"),
        ({"s": "y" * 1025}, "text_too_long", "s", "y" * 200),
        ({"f": "?", "k": ""}, "bad_label", "f", "?"),
        ({"s": ""}, None, "", ""),
    ],
)
def test_what_becomes_of_a_label(change: Row, reason: str | None, column: str, value: str) -> None:
    checked = check_labels(LABEL, {**LABEL, **change})
    assert refused(checked) == ([(2, reason, column, value)] if reason else [])
    assert len(checked.positions) == (1 if reason else 2)


def test_several_labels_for_one_transaction_are_a_history() -> None:
    again = {**LABEL, "f": "0", "k": "2024-04-05", "s": ""}
    checked = check_labels(LABEL, again, {**again, "k": "2024-05-05"}, window=Window(until=DAY_1 + 40 * DAY))
    assert [(fact["is_fraud"], fact["source"]) for fact in facts(checked)] == [(True, "desk"), (False, "shop")]
    assert len({fact["transaction_id"] for fact in facts(checked)}) == 1
    assert checked.refusals.outside.tolist() == [False, False, True]


def test_keys_meet_however_they_are_spelled() -> None:
    how = mapping(
        {"transaction_id": ["shop", "id"], "user_id": ["shop", "user"]},
        labels=LABEL_FILES,
        attributes={"user": {"files": "u.csv", "key": ["shop", "who"]}, "device": {"files": "d.csv", "key": "device"}},
    )
    row = {**GOOD, "shop": " a ", "id": "7 ", "user": "\ufeffmaria", "device": "AB-CD-EF-01-23"}
    (fact,) = facts(check(how, row))
    (label,) = facts(check_labels({**LABEL, "shop": "a", "tx": "7"}))
    assert label["transaction_id"] == fact["transaction_id"]
    for entity, described in (("user", {"shop": "a", "who": "maria "}), ("device", {"device": "abcdef0123"})):
        attributes = AttributeContract(entity, how.attributes[entity], Pseudonyms(how))
        (found,) = facts(attributes.check(chunk([{**described, "note": "x"}])))
        assert found["key"] == fact[f"entity:{entity}"]


def test_attributes() -> None:
    how = mapping(attributes={"user": {"files": "u.csv", "key": "who"}})
    attributes = AttributeContract("user", how.attributes["user"], Pseudonyms(how))
    table = pa.table(
        {"who": ["u", "null", "v", "w" * 1025], "key": ["a", "b", "y" * 1025, "d"], "age": [1, 2, 3, None]}
    )
    checked = attributes.check(Chunk("u.parquet", table, np.arange(1, 5)))
    assert refused(checked) == [
        (2, "missing_key", "who", "null"), (3, "text_too_long", "key", "y" * 200), (4, "id_too_long", "who", "w" * 200),
    ]  # fmt: skip
    assert facts(checked) == [{"key": "u", "key_": "a", "age": 1}]

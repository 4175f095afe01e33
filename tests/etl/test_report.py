"""A load's report: figures that agree with the rows, nothing private, and words that say what is wrong."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.contract.reasons import Reason
from etl.ledger import Ledger, sidecar
from etl.loading import load
from etl.mapping import Mapping
from etl.reporting.advice import ADVICE
from etl.reporting.comparison import attention, load_before
from etl.reporting.histogram import Histogram
from etl.reporting.hubs import Usual, address_kind, is_placeholder, suspicion
from etl.reporting.profile import DELAYS, profile
from etl.reporting.report import SHOWN
from etl.reporting.wording import days_text, percent
from graph.store import Store, Watermark

Shop = Callable[..., Mapping]
Write = Callable[..., Path]
Row = dict[str, Any]

START = datetime(2024, 3, 1, tzinfo=UTC)
LABEL = {"is_fraud": {"column": "fraud", "fraud": ["1"], "genuine": ["0"]}, "known_at": "known"}


def rows(n: int, *, first: int = 0, days: int = 10, **columns: Callable[[int], Any]) -> list[Row]:
    """n transactions spread over days, each user with a device of his own; `columns` replaces values."""
    made = []
    for i in range(first, first + n):
        at = START + timedelta(days=days * (i - first) / n)
        row = {"id": f"t{i}", "at": at.isoformat(), "user": f"u{i % 40}", "amount": "20.00", "device": f"d{i % 40}"}
        made.append(row | {name: value(i) for name, value in columns.items()})
    return made


def told(mapping: Mapping, store: Store, **options: Any) -> list[tuple[str, str]]:
    """Level and whole text of what a load and its comparison with the load before say."""
    report = load(mapping, store, **options)
    with Ledger(sidecar(store.url)) as ledger:
        before = load_before(ledger.loads(), mapping.name, report.number)
    return [(f.level, f"{f.title} {f.text} {f.action}") for f in attention(report.as_dict(), before)]


@given(st.lists(st.lists(st.integers(0, 10**15), max_size=40), min_size=1, max_size=4), st.floats(0, 1))
def test_a_histogram_knows_sums_and_quantiles(parts: list[list[int]], share: float) -> None:
    histogram = Histogram()
    for part in parts:
        histogram.add(np.array(part, dtype=np.int64))
    values = sorted(value for part in parts for value in part)
    assert (histogram.count, histogram.zeros, histogram.total) == (len(values), values.count(0), sum(values))
    assert sum(bar["rows"] for bar in histogram.bars()) == len(values) - values.count(0)
    if values:
        exact = values[max(int(np.ceil(share * len(values) - 1e-9)), 1) - 1]
        assert abs(histogram.quantile(share) - exact) <= exact / 8192
        assert histogram.largest == values[-1]


def test_a_histogram_of_nothing_has_no_quantile() -> None:
    with pytest.raises(ValueError, match="nothing"):
        Histogram().quantile(0.5)


def test_the_profile_agrees_with_a_count_by_hand(store: Store, shop: Shop, write_csv: Write) -> None:
    rng = np.random.default_rng(5)

    def some(first: int) -> list[Row]:
        return rows(
            300, first=first, user=lambda i: f"u{rng.zipf(1.5) % 50}", device=lambda i: f"d{rng.integers(0, 30)}",
            fraud=lambda i: str(rng.integers(0, 2)) if i % 2 else "",
            known=lambda i: (START + timedelta(days=10 + i % 60)).isoformat(),
        )  # fmt: skip

    earlier, later = some(0), some(300)
    write_csv("tx1.csv", earlier)
    mapping = shop(label=LABEL)
    load(mapping, store)
    since = store.watermark()
    write_csv("tx2.csv", later)
    load(mapping, store)
    found = profile(store, since)

    labelled = [row for row in later if row["fraud"]]
    assert (found.transactions, found.labelled, found.labels) == (300, len(labelled), len(labelled))
    assert found.frauds == sum(row["fraud"] == "1" for row in labelled)
    users = Counter({device: len({r["user"] for r in later if r["device"] == device}) for device in
                     {r["device"] for r in later}})  # fmt: skip
    devices = found.degrees["device"]
    assert (devices.counts, devices.entities, devices.largest) == ("users", len(users), max(users.values()))
    assert devices.shared == sum(n > 1 for n in users.values())
    for low, high, entities in devices.buckets:
        assert entities == sum(low <= n <= high for n in users.values())
    made = Counter(row["user"] for row in later)
    assert found.degrees["user"].counts == "transactions"
    assert found.degrees["user"].largest == max(made.values())
    for kind, value in (("fraud", "1"), ("genuine", "0")):
        took = [
            (datetime.fromisoformat(r["known"]) - datetime.fromisoformat(r["at"])) / timedelta(days=1)
            for r in labelled if r["fraud"] == value
        ]  # fmt: skip
        delays = found.delays[kind]
        assert delays.median == pytest.approx(np.median(took), abs=1e-6)
        ends = [*DELAYS[1:], float("inf")]
        assert delays.rows == tuple(sum(low <= d < high for d in took) for low, high in zip(DELAYS, ends, strict=True))
    assert profile(store, store.watermark()).degrees == {}


def test_delays_of_labels_of_earlier_transactions_are_sampled(store: Store, shop: Shop, write_csv: Write) -> None:
    write_csv("tx.csv", rows(1200))
    load(shop(), store)
    since = store.watermark()
    write_csv("labels.csv", [
        {"id": row["id"], "fraud": "1", "known": (datetime.fromisoformat(row["at"]) + timedelta(days=5)).isoformat()}
        for row in rows(1200)
    ])  # fmt: skip
    load(shop(labels={"files": "labels.csv", "transaction_id": "id", "is_fraud": "fraud", "known_at": "known"}), store)
    found = profile(store, since)
    assert (found.transactions, found.labels, found.labelled) == (0, 1200, 0)
    assert found.sampled
    assert found.delays["fraud"].labels <= 500
    assert found.delays["fraud"].median == pytest.approx(5)


def test_hubs_are_named_with_their_users_and_frauds(store: Store, shop: Shop, write_csv: Write) -> None:
    write_csv("tx.csv", rows(
        400, device=lambda i: "kiosk" if i % 4 == 0 else f"d{i % 40}", ip=lambda i: "100.64.0.9",
        fraud=lambda i: "1" if i % 100 == 0 else "0", user=lambda i: f"u{i % 200}",
        known=lambda i: (START + timedelta(days=40)).isoformat(),
    ))  # fmt: skip
    found = load(shop({"ip": "ip"}, label=LABEL), store).as_dict()["profile"]["degrees"]
    (kiosk,) = [hub for hub in found["device"]["hubs"] if hub["key"] == "kiosk"]
    assert (kiosk["users"], kiosk["transactions"], kiosk["frauds"]) == (50, 100, 4)
    (address,) = found["ip"]["hubs"]
    assert (address["key"], address["users"]) == ("100.64.0.9", 200)
    assert "carrier-grade" in address["why"]


@pytest.mark.parametrize(
    ("key", "placeholder"),
    [
        ("test", True), ("TEST-DEVICE", True), ("no_id", True), ("xxx", True), ("99999999", True), ("guest", True),
        ("unknown-7", True), ("none@example.com", True), ("123456789", True), ("testudo", False), ("d17", False),
        ("100200", False), ("nora@example.com", False), ("9f86d081884c7d65", False),
    ],
)  # fmt: skip
def test_placeholders(key: str, placeholder: bool) -> None:
    assert is_placeholder(key) is placeholder


def test_what_makes_a_hub() -> None:
    usual = Usual(entities=1000, degree=2, users=5000, transactions=20000)
    assert suspicion("device", "d1", 4, 9, usual) is None
    assert suspicion("device", "test", 4, 9, usual) is None
    assert "placeholder" in str(suspicion("device", "test", 6, 9, usual))
    assert "at most 2 users" in str(suspicion("device", "d1", 25, 90, usual))
    assert "6% of all users" in str(suspicion("ip", "200.1.1.1", 300, 900, usual))
    assert "private" in str(suspicion("ip", "192.168.0.4", 30, 90, Usual(1000, 20, 5000, 20000)))
    assert suspicion("ip", "200.1.1.1", 30, 90, Usual(1000, 20, 5000, 20000)) is None
    assert suspicion("restaurant", "r", 900, 2000, Usual(100, 600, 5000, 20000)) is None
    assert "appear there" in str(suspicion("restaurant", "r", 3000, 9000, Usual(100, 600, 5000, 20000)))
    assert suspicion("user", "u", 1, 150, Usual(1000, 9, 1000, 20000)) is None
    assert "one user's" in str(suspicion("user", "u", 1, 800, Usual(1000, 9, 1000, 20000)))


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("100.64.3.9", "carrier-grade NAT"), ("10.1.2.3", "private"), ("fd00::7", "private"), ("127.0.0.1", "loopback"),
        ("169.254.1.1", "link-local"), ("203.0.113.9", "reserved"), ("200.1.1.1", None), ("hash-of-an-address", None),
    ],
)  # fmt: skip
def test_addresses_that_many_share_by_design(key: str, kind: str | None) -> None:
    assert (kind in str(address_kind(key))) if kind else address_kind(key) is None


def test_examples_show_what_is_wrong_and_nothing_private(
    store: Store, shop: Shop, write_csv: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUIPU_PSEUDONYM_KEY", "k" * 40)
    secret = "maria.perez@example.com " * 60
    bad = rows(30, amount=lambda i: "much " * 30 if i < 10 else "20.00", user=lambda i: secret if i == 20 else f"u{i}")
    path = write_csv("tx.csv", bad)
    with path.open("a") as file:
        file.write("t99,2024-03-02,jose.quispe@example.com,1,d,too,many\n")
    report = load(shop(pseudonymise=["user_id"]), store)
    examples = report.as_dict()["examples"]
    (amount,) = examples["bad_amount"]  # the same value again shows nothing new
    assert (amount["file"], amount["row"], amount["column"]) == (str(path), 1, "amount")
    assert amount["value"].startswith("much much")
    assert len(amount["value"]) == SHOWN
    assert [e["value"] for e in examples["id_too_long"]] == [None]
    assert [(e["row"], e["value"]) for e in examples["broken_row"]] == [(31, None)]
    text = str(report.as_dict())
    assert "maria" not in text
    assert "jose" not in text


def test_conflicts_have_examples(store: Store, shop: Shop, write_csv: Write) -> None:
    write_csv("tx.csv", [*rows(3), {**rows(3)[1], "amount": "21"}])
    (example,) = load(shop(), store).as_dict()["examples"]["conflicting_duplicate"]
    assert (example["row"], example["column"], example["value"]) == (4, "id", "t1")


def test_amounts_by_currency_and_rows_by_day(store: Store, shop: Shop, write_csv: Write) -> None:
    write_csv("tx.csv", rows(100, currency=lambda i: "PEN" if i < 75 else "USD", amount=lambda i: str(i % 25)))
    report = load(shop({"currency": "currency"}), store).as_dict()
    pen = report["amounts"]["PEN"]
    assert (pen["rows"], pen["zeros"], pen["sum"], pen["median"], pen["largest"]) == (75, 3, 900, 12, 24)
    assert report["amounts"]["USD"]["rows"] == 25
    assert report["days"] == {(START + timedelta(days=d)).date().isoformat(): 10 for d in range(10)}


def test_every_reason_has_advice() -> None:
    assert set(ADVICE) == set(Reason)


def test_a_load_without_troubles_says_nothing_loud(store: Store, shop: Shop, write_csv: Write) -> None:
    write_csv("tx.csv", rows(500))
    assert [level for level, _ in told(shop(), store)] == ["note"]  # that there are no labels yet
    write_csv("tx.csv", rows(520, first=500))
    assert all(level == "note" for level, _ in told(shop(), store))


CITY = {"city": "city", "currency": "currency"}


@pytest.mark.parametrize(
    ("earlier", "later", "level", "said"),
    [
        ({}, {"device": lambda i: "" if i % 2 else f"d{i}"}, "problem",
         "device is suddenly missing in 50% of transactions; it was 0% in the load before."),
        ({}, {"device": lambda i: ""}, "problem", "device is suddenly missing in 100% of transactions"),
        ({"device": lambda i: ""}, {"device": lambda i: ""}, "problem", "device is missing in every transaction."),
        ({"city": lambda i: "" if i % 10 else "Lima"}, {"city": lambda i: "" if i % 4 else "Lima"}, "nothing", "city"),
        ({}, {"amount": lambda i: "x" if i % 20 == 0 else "9"}, "problem",
         "20 of 400 transactions (5.0%) were held back because the amount is not a finite number"),
        ({"amount": lambda i: "x" if i % 20 == 0 else "9"}, {"amount": lambda i: "x" if i % 20 == 0 else "9"},
         "problem", "20 of 400 transactions (5.0%) were held back"),
        ({}, {"amount": lambda i: "2000"}, "problem",
         "Amounts in PEN are 100 times larger than in the load before: the median is 2,000.00, it was 20.00."),
        ({}, {"amount": lambda i: "0" if i % 3 else "20"}, "check", "% of amounts are zero."),
        ({}, {"currency": lambda i: "USD" if i % 4 == 0 else "PEN"}, "check", "Amounts come in 2 currencies"),
        ({}, {"currency": lambda i: "USD" if i % 4 == 0 else "PEN"}, "note",
         "100 amounts are in USD, which the load before did not have."),
        ({}, {"at": lambda i: (START + timedelta(days=i % 5 + 7 * (i % 2))).isoformat()}, "check",
         "No transactions from 6 Mar 2024 to 7 Mar 2024 (2 days), where a usual day has 40."),
        ({}, {"user": lambda i: "u0" if i % 2 else f"u{i % 150}"}, "check",
         "1 user made far more transactions than others, u0 alone 2"),
    ],
)  # fmt: skip
def test_what_changed_is_said(
    store: Store, shop: Shop, write_csv: Write, earlier: Row, later: Row, level: str, said: str
) -> None:
    plain: Row = {"city": lambda i: "Lima", "currency": lambda i: "PEN"}
    write_csv("tx.csv", rows(400, **plain | earlier))
    load(shop(CITY), store)
    write_csv("tx.csv", rows(400, first=400, **plain | later))
    findings = told(shop(CITY), store)
    found = [text for its, text in findings if its == level and said in text]
    if level == "nothing":
        assert not [text for _, text in findings if said in text and "suddenly" not in text]
    else:
        assert len(found) == 1, findings
        assert len({text for _, text in findings}) == len(findings)


def test_volume_that_drops_or_is_gone_is_said_first(store: Store, shop: Shop, write_csv: Write) -> None:
    write_csv("tx.csv", rows(1000))
    load(shop(), store)
    write_csv("tx.csv", rows(300, first=1000))
    assert told(shop(), store)[0] == (
        "problem",
        "Volume fell by 70%: 300 transactions, 1,000 in the load before.  If business did not slump, part of the "
        "delivery is missing: ask the source for the rest, and load it; what is there already does no harm.",
    )
    write_csv("tx.csv", rows(150, first=1300, days=3))  # 50 a day are more than 30 a day
    assert not [text for _, text in told(shop(), store) if "Volume" in text]
    write_csv("tx.csv", rows(1)).write_text("id,at,user,amount,device\n")
    level, text = told(shop(), store)[0]
    assert level == "problem"
    assert "This load read nothing; the load before read 150 transactions." in text


def test_labels_that_cannot_be_true_are_said(store: Store, shop: Shop, write_csv: Write) -> None:
    write_csv("tx.csv", rows(
        400, fraud=lambda i: "1" if i % 4 else "0",
        known=lambda i: (START + timedelta(days=10 * i / 400, minutes=5)).isoformat(),
    ))  # fmt: skip
    said = [text for level, text in told(shop(label=LABEL), store) if level == "problem"]
    assert any("75% of labelled transactions are fraud" in text for text in said)
    assert any("known within an hour" in text for text in said)


def test_loads_of_other_mappings_and_failed_ones_are_not_compared_with() -> None:
    def of(number: int, **other: Any) -> Row:
        return {"number": number, "mapping": "shop", "outcome": "done", "report": {"read": 5}} | other

    loads = [of(1), of(2, mapping="bar"), of(3, outcome="failed"), of(4, report={"read": 0}), of(5, report=None), of(6)]
    found = load_before(loads, "shop", 6)
    assert found == {"read": 5, "number": 1}
    assert load_before(loads, "shop", None) == {"read": 5, "number": 6}
    assert load_before(loads, "shop", 1) is None


def test_wording() -> None:
    assert [percent(x) for x in (0, 0.0001, 0.023, 0.41, 0.999, 1)] == [
        "0%", "under 0.1%", "2.3%", "41%", "over 99.5%", "100%",
    ]  # fmt: skip
    day = date(2024, 3, 3)
    assert days_text([(day, day)]) == "on 3 Mar 2024"
    many = [(day + timedelta(days=2 * i), day + timedelta(days=2 * i)) for i in range(7)]
    assert days_text(many).endswith("and in 3 more stretches")


def test_a_profile_of_an_empty_store(store: Store) -> None:
    found = profile(store, Watermark())
    assert (found.transactions, found.labels, found.degrees, found.delays) == (0, 0, {}, {})

"""Requests: what is read, what is refused and how that is told, and what makes two of them the same."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.errors import InvalidRequest, MalformedBody, invalid_body, problem_of
from api.wire import (
    EARLIEST,
    EPOCH,
    Intake,
    Refused,
    Submission,
    Transaction,
    iso,
    microseconds,
    read_batch,
    read_key,
    read_labels,
    read_transaction,
)
from graph.records import GraphSchema

SCHEMA = GraphSchema(
    ("user", "restaurant", "device", "ip", "card"), ("city", "channel"), ("age", "seconds_since_account_created_at")
)
INTAKE = Intake(SCHEMA, future_tolerance=300)
BODY: dict[str, Any] = {"transaction_id": "t1", "occurred_at": "2025-01-31T12:30:00Z", "user_id": "u1", "amount": 86.5}


def submission(**changes: Any) -> Submission:
    body = json.dumps({k: v for k, v in (BODY | changes).items() if v is not ...})
    return INTAKE.submission(read_transaction(body))


def refusal(body: bytes | str) -> dict[str, Any]:
    """The problem a body gives, whichever check finds it."""
    try:
        INTAKE.submission(read_transaction(body))
    except ValidationError as error:
        return problem_of(invalid_body(error)).content()
    except InvalidRequest as error:
        return problem_of(error).content()
    pytest.fail("the body was accepted")


def pointers(**changes: Any) -> set[str]:
    body = json.dumps({k: v for k, v in (BODY | changes).items() if v is not ...})
    problem = refusal(body)
    assert problem["status"] == 422
    return {field.pointer for field in problem["errors"]}


def test_a_full_transaction_comes_out_in_one_form() -> None:
    made = submission(
        currency="pen",
        restaurant_id=" r1 ",
        device_id="d1",
        ip="10.0.0.1",
        city="Lima",
        entities={"card": "c1"},
        categories={"channel": "web"},
        numeric={"age": 41},
        times={"account_created_at": "2025-01-30T12:30:00Z"},
    )
    assert made == Submission(
        "t1",
        1_738_326_600_000_000,
        8650,
        "PEN",
        {"user": "u1", "restaurant": "r1", "device": "d1", "ip": "10.0.0.1", "card": "c1"},
        {"city": "Lima", "channel": "web"},
        {"age": 41.0, "seconds_since_account_created_at": 86_400.0},
    )


@pytest.mark.parametrize("key", ["unknown", "NULL", " none ", "00000000-0000-0000-0000-000000000000", "0.0.0.0", "n/a"])
def test_null_like_keys_are_missing(key: str) -> None:
    assert submission(device_id=key, ip=key, entities={"card": key}).entities == {"user": "u1"}


def test_keys_come_out_as_loading_spells_them() -> None:
    made = submission(user_id="Ana\u200b", device_id="{ABCD-EF01}", ip="::FFFF:10.0.0.1", restaurant_id=" R-1 ")
    expected = {"user": "Ana", "device": "abcdef01", "ip": "10.0.0.1", "restaurant": "R-1"}
    assert {name: made.entities[name] for name in expected} == expected
    assert submission(ip="10.0.0.300").entities.keys() == submission(ip=None).entities.keys()
    assert pointers(user_id="unknown") == {"/user_id"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ip": "100.64.0.1"}, "carrier_grade"),
        ({"ip": "100.64.0.1", "categories": {"ip_range": "office"}}, "office"),
        ({"ip": "a1b2c3"}, None),
        ({"ip": None}, None),
    ],
)
def test_the_range_of_an_address_is_filled_in_where_the_model_knows_it(
    changes: dict[str, Any], expected: str | None
) -> None:
    schema = SCHEMA.merged(GraphSchema(categories=("ip_range",)))
    body = json.dumps({**BODY, **changes})
    made = Intake(schema, future_tolerance=300).submission(read_transaction(body))
    assert made.categories.get("ip_range") == expected


@pytest.mark.parametrize("key", ["0", "000", "10.0.0.0", "nullify", "noneother"])
def test_other_keys_are_kept(key: str) -> None:
    assert submission(device_id=key).entities["device"] == key


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"transaction_id": ...}, "/transaction_id"),
        ({"user_id": ...}, "/user_id"),
        ({"occurred_at": ...}, "/occurred_at"),
        ({"amount": ...}, "/amount"),
        ({"transaction_id": ""}, "/transaction_id"),
        ({"transaction_id": 17}, "/transaction_id"),
        ({"transaction_id": None}, "/transaction_id"),
        ({"user_id": "x" * 257}, "/user_id"),
        ({"user_id": "a\x00b"}, "/user_id"),
        ({"device_id": "a\nb"}, "/device_id"),
        ({"device_id": ["d"]}, "/device_id"),
        ({"amount": -0.01}, "/amount"),
        ({"amount": "86.5"}, "/amount"),
        ({"amount": True}, "/amount"),
        ({"amount": None}, "/amount"),
        ({"amount": 1.1e12}, "/amount"),
        ({"amount": 10**400}, "/amount"),
        ({"amount": float("nan")}, "/amount"),
        ({"amount": float("-inf")}, "/amount"),
        ({"occurred_at": "2025-01-31T12:30:00"}, "/occurred_at"),
        ({"occurred_at": "yesterday"}, "/occurred_at"),
        ({"occurred_at": 1_738_326_600}, "/occurred_at"),
        ({"occurred_at": "1989-12-31T23:59:59Z"}, "/occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "/occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59-14:00"}, "/occurred_at"),
        ({"currency": "soles"}, "/currency"),
        ({"colour": "red"}, "/colour"),
        ({"a/b~c": 1}, "/a~1b~0c"),
        ({"payment_method": "card"}, "/payment_method"),
        ({"entities": {"phone": "1"}}, "/entities/phone"),
        ({"entities": {"user": "u2"}}, "/entities/user"),
        ({"device_id": "d", "entities": {"device": "e"}}, "/entities/device"),
        ({"entities": ["card"]}, "/entities"),
        ({"categories": {"weather": "sun"}}, "/categories/weather"),
        ({"numeric": {"height": 1.0}}, "/numeric/height"),
        ({"numeric": {"age": "old"}}, "/numeric/age"),
        ({"numeric": {"age": float("inf")}}, "/numeric/age"),
        ({"times": {"last_login": "2025-01-01T00:00:00Z"}}, "/times/last_login"),
        ({"times": {"account_created_at": "2025-01-01"}}, "/times/account_created_at"),
    ],
)
def test_the_field_at_fault_is_named(changes: dict[str, Any], pointer: str) -> None:
    assert pointers(**changes) == {pointer}


def test_all_faults_are_told_at_once() -> None:
    assert pointers(amount=-1, user_id="", colour=1, transaction_id=...) == {
        "/amount",
        "/user_id",
        "/colour",
        "/transaction_id",
    }


def test_what_the_model_knows_is_told() -> None:
    errors = refusal(json.dumps(BODY | {"entities": {"phone": "1"}}))["errors"]
    assert errors[0].detail.endswith("card, device, ip, restaurant, user")


NOT_JSON = [b"", b"{", b"\xff\xfe", b"[" * 10_000, b'{"amount": 1' + b"0" * 5000 + b"}", b'{"user_id": "\\ud800"}']


@pytest.mark.parametrize("body", [*NOT_JSON, b"{'a': 1}"])
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        read_transaction(body)
    assert isinstance(invalid_body(caught.value), MalformedBody)
    assert problem_of(invalid_body(caught.value)).status == 400


def test_the_future_is_refused_beyond_the_tolerance() -> None:
    now = datetime.now(UTC)
    submission(occurred_at=(now + timedelta(seconds=200)).isoformat())
    assert pointers(occurred_at=(now + timedelta(seconds=3600)).isoformat()) == {"/occurred_at"}


def test_notation_does_not_make_another_request() -> None:
    one = submission(currency="PEN", entities={"card": "c", "device": "d"}, numeric={"age": 1}).digest()
    text = (
        '{"numeric": {"age": 1.0e0}, "currency": "pen", "amount": 86.500, "user_id": "u1",\n'
        ' "device_id": "d", "entities": {"card": "c"}, "transaction_id": "t1", "ip": null,'
        ' "occurred_at": "2025-01-31T07:30:00.000-05:00"}'
    )
    assert INTAKE.submission(read_transaction(text)).digest() == one


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 86.51},
        {"user_id": "u2"},
        {"occurred_at": "2025-01-31T12:30:00.000001Z"},
        {"currency": "PEN"},
        {"device_id": "d"},
        {"city": "d"},
        {"numeric": {"age": 0}},
        {"transaction_id": "t2"},
    ],
)
def test_other_content_is_another_request(changes: dict[str, Any]) -> None:
    assert submission(**changes).digest() != submission().digest()


@given(cents=st.integers(0, 10**14))
def test_amounts_with_two_decimals_are_exact(cents: int) -> None:
    assert submission(amount=cents / 100).amount == cents


@given(
    at=st.integers(microseconds(EARLIEST), microseconds(datetime(2025, 1, 1, tzinfo=UTC))),
    hours=st.integers(-12, 14),
)
def test_times_are_exact_to_the_microsecond(at: int, hours: int) -> None:
    time = (EPOCH + timedelta(microseconds=at)).astimezone(timezone(timedelta(hours=hours)))
    made = submission(occurred_at=time.isoformat())
    assert made.occurred_at == at
    assert datetime.fromisoformat(iso(made.occurred_at)) == time


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(ANY_JSON)
def test_no_json_breaks_the_reader(value: Any) -> None:
    for body in (json.dumps(value), json.dumps(BODY | {"entities": value}), json.dumps(BODY | {"numeric": value})):
        try:
            INTAKE.submission(read_transaction(body))
        except (ValidationError, InvalidRequest) as error:
            problem = problem_of(invalid_body(error) if isinstance(error, ValidationError) else error)
            assert problem.status in {400, 422}


def test_one_malformed_entry_of_a_batch_does_not_touch_the_others() -> None:
    other = BODY | {"transaction_id": "t2", "amount": "much"}
    entries = read_batch(json.dumps([BODY, other, 5, {"transaction_id": 9}, BODY | {"amount": 10**400}]).encode())
    assert isinstance(entries[0], Transaction)
    refused = [entry for entry in entries if isinstance(entry, Refused)]
    assert [entry.transaction_id for entry in refused] == ["t2", None, None, "t1"]
    assert all(isinstance(entry.error, InvalidRequest) for entry in refused)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"5", b"[" + b"{}," * 1000 + b"{}]"])
def test_a_batch_is_a_list_of_at_most_a_thousand(body: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        read_batch(body)
    assert isinstance(invalid_body(caught.value), InvalidRequest)


def test_labels_come_alone_or_as_a_list() -> None:
    label = {"transaction_id": "t1", "is_fraud": True, "known_at": "2025-02-14T09:00:00Z", "source": "chargeback"}
    assert read_labels(json.dumps(label).encode()) == read_labels(b" \n" + json.dumps([label]).encode())
    for wrong in ({"is_fraud": 1}, {"known_at": "2025-02-14T09:00:00"}, {"source": ""}, {"who": "me"}):
        with pytest.raises(ValidationError):
            read_labels(json.dumps(label | wrong).encode())


def test_a_label_is_known_now_unless_it_says_when() -> None:
    (label,) = read_labels(b'{"transaction_id": "t", "is_fraud": false}')
    assert INTAKE.known_at(label, 17) == 17
    (label,) = read_labels(b'{"transaction_id": "t", "is_fraud": false, "known_at": "2999-01-01T00:00:00Z"}')
    with pytest.raises(InvalidRequest):
        INTAKE.known_at(label, 17)


def test_keys_in_paths_follow_the_same_rules() -> None:
    assert read_key("key", "a/b") == "a/b"
    for wrong in ("", "a\x00", "x" * 257):
        with pytest.raises(InvalidRequest):
            read_key("key", wrong)

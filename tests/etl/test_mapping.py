"""The mapping file: what is accepted, and how clearly the rest is refused."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from etl.layout import fit
from etl.mapping import Mapping, parse_mapping, read_mapping
from graph.errors import MappingError

ROOT = Path(__file__).resolve().parents[2]


def document(**changes: Any) -> dict[str, Any]:
    transaction = {"transaction_id": "id", "occurred_at": "at", "user_id": "user", "amount": "amount"}
    return {
        "name": "shop",
        "source": {"files": "*.csv"},
        "transaction": transaction | changes.pop("transaction", {}),
        **changes,
    }


def mapping(**changes: Any) -> Mapping:
    return parse_mapping(document(**changes))


def test_the_example_is_read() -> None:
    read = read_mapping(ROOT / "examples" / "handbook.yaml")
    assert read.name == "handbook"
    assert read.transaction.restaurant_id == ("TERMINAL_ID",)
    assert read.label is not None
    assert read.label.known_at.delay == timedelta(days=7)  # type: ignore[union-attr]
    assert read.quarantine.limit == 0.05


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quarantin": {}}, r"unknown key 'quarantin'; did you mean 'quarantine'\?"),
        ({"transaction": {"occured_at": "x"}}, r"transaction: unknown key 'occured_at'; did you mean 'occurred_at'\?"),
        ({"transaction": {"occurred_at": {"column": "at", "timezon": "UTC"}}}, "transaction.occurred_at: unknown key"),
        ({"transaction": {"occurred_at": {"column": "at", "timezone": "Lima"}}}, "'Lima' is not a time zone"),
        ({"transaction": {"occurred_at": {"column": "at", "epoch": "fortnight"}}}, "transaction.occurred_at.epoch"),
        ({"transaction": {"occurred_at": {"column": "at", "origin": "2020-01-01"}}}, "origin needs epoch"),
        ({"transaction": {"entities": {"device": "d"}}}, "device has a key of its own: transaction.device_id"),
        ({"transaction": {"entities": {"My Card": "d"}}}, "transaction.entities"),
        ({"transaction": {"user_id": []}}, "transaction.user_id"),
        ({"source": {"sql": {"url_env": "SHOP_DB"}}}, "source.sql.query: is missing"),
        ({"source": {}}, "source: give either files"),
        ({"missing": {"device_id": {"impute": "most_frequent"}}}, "missing.device_id: most_frequent is for"),
        ({"currencies": {"base": "PEN", "rates": "rates.csv"}}, "currencies needs transaction.currency"),
        ({"label": {"is_fraud": "f"}}, "label: known_at is missing"),
        ({"label": {"is_fraud": "f", "known_at": {"delay": "soon"}}}, "label.known_at.delay: a duration"),
        ({"label": {"is_fraud": {"column": "f", "genuine": [0]}, "known_at": {"delay": "7d"}}}, "fraud must be too"),
        ({"label": {"genuine_after": "14d"}}, "genuine_after needs"),
        ({"pseudonymise": ["device_id"]}, "'device_id' is no mapped identifier"),
        ({"attributes": {"device": {"files": "d.csv", "key": "id"}}}, "attributes.device: no such entity type"),
        ({"quarantine": {"limit": "500%"}}, "quarantine.limit"),
        ({"quarantine": {"limit": 5}}, "quarantine.limit"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        mapping(**changes)


def test_a_missing_key_is_named() -> None:
    broken = document()
    del broken["transaction"]["amount"]
    with pytest.raises(MappingError, match=r"transaction\.amount: is missing"):
        parse_mapping(broken)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "not valid YAML"),
        ("just text", "not a mapping"),
        ("", "not a mapping"),
        ("folder: /", "folder: unknown key"),
    ],
)
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(MappingError, match=message):
        read_mapping(path)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="there is no mapping file"):
        read_mapping(tmp_path / "m.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MappingError, match="cannot be read"):
        read_mapping(tmp_path / "b.yaml")


def test_layout_orders_entities_and_resolves_globs_without_what_is_mapped_otherwise() -> None:
    read = mapping(
        transaction={
            "ip": "ip", "device_id": "device", "entities": {"card": ["bin", "last4"]}, "numeric": ["V*"],
            "categorical": ["browser", "V9*"], "payment_method": "method", "times": ["created"], "user_id": "V0",
        },
        label={"is_fraud": "Vfraud", "known_at": {"delay": "1d"}},
    )  # fmt: skip
    columns = ["id", "at", "amount", "ip", "device", "bin", "last4", "method", "browser", "created"]
    columns += ["V0", "V1", "V2", "V90", "Vfraud"]
    layout = fit(read, columns, "x.csv")
    assert layout.schema.entities == ("user", "device", "ip", "card")
    assert layout.schema.categories == ("payment_method", "browser", "V90", "ip_range")
    assert layout.schema.numeric == ("V1", "V2", "seconds_since_created"), "the label and the ids are no features"


def test_a_missing_column_is_named_with_its_neighbours() -> None:
    with pytest.raises(MappingError, match=r"x\.csv has no column 'amount'") as error:
        fit(mapping(), ["id", "at", "user", "Amount_", "b"], "x.csv")
    assert error.value.hint == "did you mean 'Amount_'?"


def test_a_glob_without_a_match_and_the_label_as_a_feature_are_refused() -> None:
    columns = ["id", "at", "user", "amount", "fraud"]
    with pytest.raises(MappingError, match=r"no column matches 'V\*' of numeric"):
        fit(mapping(transaction={"numeric": ["V*"]}), columns, "x.csv")
    label = {"is_fraud": "fraud", "known_at": {"delay": "1d"}}
    with pytest.raises(MappingError, match="'fraud' is the label"):
        fit(mapping(transaction={"numeric": ["fraud"]}, label=label), columns, "x.csv")

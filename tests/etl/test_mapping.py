"""The mapping file: what is accepted, and how clearly the rest is refused."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from etl.contract.layout import fit
from etl.mapping import Mapping, Outliers, parse_mapping, read_mapping
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
        ({"transaction": {"occurred_at": {"column": ["day", "hour"], "epoch": "s"}}}, "epoch reads numbers of one"),
        ({"transaction": {"entities": {"device": "d"}}}, "device has a key of its own: transaction.device_id"),
        ({"transaction": {"entities": {"My Card": "d"}}}, "transaction.entities"),
        ({"transaction": {"user_id": []}}, "transaction.user_id"),
        ({"source": {"sql": {"url_env": "SHOP_DB"}}}, "source.sql.query: is missing"),
        ({"source": {}}, "source: give either files"),
        ({"missing": {"device_id": {"impute": "most_frequent"}}}, "missing.device_id: most_frequent is for"),
        ({"missing": {"age": {"impute": "median"}}}, "missing.age: median is for amount"),
        ({"missing": {"amount": "leave"}}, "missing.amount: every transaction needs it"),
        ({"missing": {"user_id": "leave"}}, "missing.user_id: every transaction needs it"),
        ({"missing": {"amount": {"impute": "median", "by": "venue"}}}, "missing.amount.by: 'venue' is no mapped"),
        ({"outliers": {"by": ["restaurant_id"]}}, "outliers.by: 'restaurant_id' is no mapped identifier"),
        (
            {
                "transaction": {"currency": "cur"},
                "currencies": {"base": "PEN", "rates": "rates.csv"},
                "missing": {"currency": {"impute": "most_frequent"}},
            },
            "missing.currency: amounts are converted before",
        ),
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


def test_one_name_is_a_list_of_one() -> None:
    read = mapping(outliers={"by": "user_id"})
    assert isinstance(read.outliers, Outliers)
    assert read.outliers.by == ("user_id",)


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


def test_columns_that_the_contract_makes_itself_are_part_of_the_schema() -> None:
    read = mapping(
        transaction={
            "ip": "ip", "currency": {"default": "PEN"}, "amount": {"column": "amount", "negative": "refund"},
            "numeric": ["V*", "age"], "categorical": ["k*"], "times": ["born"],
        },
        currencies={"base": "PEN", "rates": "rates.csv"},
        missing={
            "V*": {"impute": "median"}, "V2": "quarantine", "amount": {"impute": "median", "by": "k1"},
            "k*": {"impute": "most_frequent"}, "age": "leave", "ip": "quarantine",
        },
    )  # fmt: skip
    layout = fit(read, ["id", "at", "user", "amount", "ip", "V1", "V2", "age", "k1", "born"], "x.csv")
    assert layout.categories == {"transaction_type": None, "k1": "k1", "original_currency": None, "ip_range": None}
    assert set(layout.imputed) == {"V1", "amount", "k1"}
    assert {name for name, policy in layout.policies.items() if policy == "quarantine"} == {"V2", "ip"}
    assert layout.schema.numeric[:4] == ("V1", "V2", "age", "seconds_since_born")
    assert set(layout.schema.numeric[4:]) == {"imputed_V1", "imputed_amount", "imputed_k1"}
    columns = {name: layout.graph_column(name) for name in ("amount", "V1", "k1", "ip", "currency", "user_id")}
    assert columns == {
        "amount": "amount", "V1": "numeric:V1", "k1": "category:k1", "ip": "entity:ip", "currency": "currency",
        "user_id": "entity:user",
    }  # fmt: skip


def test_an_address_of_several_columns_lies_in_no_range() -> None:
    read = mapping(transaction={"ip": ["ip", "port"]})
    assert fit(read, ["id", "at", "user", "amount", "ip", "port"], "x.csv").schema.categories == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transaction": {"ip": "ip", "categorical": "ip_range"}}, "'ip_range' has the name of a column"),
        (
            {
                "transaction": {"currency": "cur", "categorical": ["original_currency"]},
                "currencies": {"base": "PEN", "rates": "rates.csv"},
            },
            "'original_currency' has the name of a column",
        ),
        (
            {
                "transaction": {"numeric": ["age", "imputed_age"]},
                "missing": {"age": {"impute": "median"}},
            },
            "'imputed_age' has the name of the mark",
        ),
        (
            {"transaction": {"numeric": ["a*"]}, "missing": {"aa*": {"impute": "median"}}},
            r"no column matches 'aa\*' of missing",
        ),
    ],
)
def test_names_that_the_contract_needs_itself(changes: dict[str, Any], message: str) -> None:
    columns = ["id", "at", "user", "amount", "ip", "ip_range", "cur", "original_currency", "age", "imputed_age"]
    with pytest.raises(MappingError, match=message):
        fit(mapping(**changes), columns, "x.csv")

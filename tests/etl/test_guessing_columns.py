"""Guessing what single columns are: identifiers, features, leaks; by their names and by what stands in them."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.guessing.draft import LEFT_OUT, NEVER
from etl.guessing.guess import guess
from etl.guessing.names import column_name
from tests.etl.guessing_samples import NOW, ROWS, Columns, Maker, loaded, table
from tests.etl.guessing_shapes import (
    bank_accounts,
    card_holders,
    card_ledger,
    first_purchases,
    handbook,
    mobile_money,
    shop_orders,
    supermarket,
    synthetic,
    vesta,
)


@pytest.mark.parametrize(
    ("shape", "names", "kind"),
    [
        (handbook, ["TX_FRAUD_KIND"], NEVER),
        (mobile_money, ["isFlaggedFraud"], NEVER),
        (handbook, ["TX_TIME_SECONDS", "TX_TIME_DAYS"], LEFT_OUT),
        (card_holders, ["unix_time", "first", "last"], LEFT_OUT),
        (bank_accounts, ["device_fraud_count"], LEFT_OUT),
        (supermarket, ["zipcodeOri", "zipMerchant"], LEFT_OUT),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_leaks_other_clocks_names_and_constants_are_no_features(
    shape: Callable[[Maker], Columns], names: list[str], kind: str
) -> None:
    found = guess(table(shape(Maker())), NOW)
    apart = {name for finding in found.findings if finding.taken_as == kind for name in finding.columns}
    assert set(names) <= apart
    features = [*found.transaction.get("numeric", []), *found.transaction.get("categorical", [])]
    assert not set(names) & {*features, *found.transaction.get("times", [])}


@pytest.mark.parametrize(
    ("shape", "numeric", "categorical"),
    [
        (vesta, {"C*", "D*", "V*", "dist1", "id_01"}, {"ProductCD", "M*", "P_emaildomain", "DeviceType"}),
        (mobile_money, {"oldbalanceOrg", "newbalanceDest"}, set()),
        (first_purchases, {"age"}, {"source", "browser", "sex"}),
        (
            bank_accounts,
            {"income", "velocity_6h", "email_is_free", "customer_age", "date_of_birth_distinct_emails_4w"},
            {"employment_status", "device_os", "housing_status", "source"},
        ),
        (card_holders, {"lat", "long", "city_pop"}, {"category", "gender", "state", "zip", "job"}),
        (card_ledger, set(), {"MCC", "Zip", "Use Chip", "Errors?"}),
        (shop_orders, {"Quantity", "Customer Age", "Account Age Days"}, {"Product Category", "Device Used"}),
        (synthetic, {"Avg_Transaction_Amount_7d", "Risk_Score", "Is_Weekend"}, {"Device_Type", "Merchant_Category"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_other_columns_are_numbers_or_categories(
    shape: Callable[[Maker], Columns], numeric: set[str], categorical: set[str]
) -> None:
    tx = guess(table(shape(Maker())), NOW).transaction
    assert numeric <= set(tx.get("numeric", []))
    assert categorical <= set(tx.get("categorical", []))


def test_a_column_that_tells_the_label_alone_is_set_apart() -> None:
    maker = Maker()
    columns = handbook(maker) | {"harmless": maker.floats(), "verdict_code": maker.fraud * 7.0 + maker.rng.random(ROWS)}
    columns = columns | {"blocked_reason": np.where(maker.fraud, "stolen", None)}
    found = guess(table(columns), NOW)
    never = {name for finding in found.findings if finding.taken_as == NEVER for name in finding.columns}
    assert {"verdict_code", "blocked_reason"} <= never
    assert found.transaction["numeric"] == ["harmless"]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12),
        min_size=1,
        max_size=6,
        unique=True,
    )
)
def test_columns_may_have_any_name(names: list[str]) -> None:
    maker = Maker(rows=60)
    strange = {f"{name}{place}~": maker.money() for place, name in enumerate(names)}
    columns = {"id": np.arange(60), "time": maker.times(), "user": maker.numbers(1, 9), "amount": maker.money()}
    sample = table({**columns, **strange})
    found = guess(sample, NOW)
    trial = loaded(found, sample)
    assert trial.accepted == trial.rows
    assert {name for f in found.findings for name in f.columns} == set(sample.column_names)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("TransactionID", ("transaction", "id")),
        ("trans_date_trans_time", ("trans", "date", "trans", "time")),
        ("customerIPAddress", ("customer", "ip", "address")),
        ("nameOrig", ("name", "orig")),
        ("isFlaggedFraud", ("is", "flagged", "fraud")),
        ("Fecha de Operación", ("fecha", "de", "operacion")),
        ("remote_addr", ("ip",)),
        ("transdate", ("trans", "date")),
        ("V12", ("v", "12")),
        ("Is Fraud?", ("is", "fraud")),
    ],
)
def test_words_of_names(text: str, words: tuple[str, ...]) -> None:
    assert column_name(text).words == words


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("customer_device", "device"), ("DeviceType", None), ("card_number", "card"), ("card_type", None),
        ("merchant_city", None), ("merchant_id", "merchant"), ("user_agent", None), ("client_ip", "ip"),
        ("phone_home_valid", None), ("date_of_birth_distinct_emails_4w", None), ("bank_account", "account"),
        ("id_cliente", "user"), ("P_emaildomain", None), ("avg_user_amount_7d", None), ("card_holder_id", "user"),
    ],
)  # fmt: skip
def test_identifiers_and_properties(text: str, identity: str | None) -> None:
    assert column_name(text).identity == identity

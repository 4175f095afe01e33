"""Guessing what other people's tables mean, on tables of the shapes that fraud data sets have."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.guessing.guess import guess
from etl.guessing.text import flow, mapping_text
from etl.mapping import parse_mapping
from tests.etl.guessing_samples import NOW, Columns, Maker, loaded, table
from tests.etl.guessing_shapes import (
    abbreviated,
    bank_accounts,
    bank_export,
    card_holders,
    card_ledger,
    credit_card,
    first_purchases,
    handbook,
    mobile_money,
    shop_orders,
    spanish,
    supermarket,
    synthetic,
    vesta,
)

ESSENTIALS: dict[Callable[[Maker], Columns], dict[str, Any]] = {
    credit_card: {"occurred_at": ("Time", "s"), "amount": "Amount", "label": "Class", "numeric": ["V1", "V*"]},
    vesta: {
        "transaction_id": "TransactionID", "occurred_at": ("TransactionDT", "s"), "amount": "TransactionAmt",
        "label": "isFraud", "user_id": ["card1", "card2", "card3", "card4", "card5", "card6", "addr1"],
    },
    mobile_money: {
        "occurred_at": ("step", "h"), "amount": "amount", "label": "isFraud", "user_id": "nameOrig",
        "restaurant_id": "nameDest", "transaction_type": "type",
    },
    first_purchases: {
        "transaction_id": ["user_id", "purchase_time", "purchase_value"], "occurred_at": ("purchase_time", None),
        "amount": "purchase_value", "label": "class", "user_id": "user_id", "device_id": "device_id",
        "times": ["signup_time"],
    },
    bank_accounts: {"occurred_at": ("month", "d"), "amount": "proposed_credit_limit", "label": "fraud_bool"},
    card_holders: {
        "transaction_id": "trans_num", "occurred_at": ("trans_date_trans_time", None), "amount": "amt",
        "label": "is_fraud", "user_id": "cc_num", "restaurant_id": "merchant", "city": "city", "times": ["dob"],
        "entities": {"address": "street"},
    },
    handbook: {
        "transaction_id": "TRANSACTION_ID", "occurred_at": ("TX_DATETIME", None), "amount": "TX_AMOUNT",
        "label": "TX_FRAUD", "user_id": "CUSTOMER_ID", "restaurant_id": "TERMINAL_ID",
    },
    spanish: {
        "transaction_id": "nro_operacion", "occurred_at": ("fecha_hora", None), "amount": "monto", "label": "fraude",
        "user_id": "id_cliente", "restaurant_id": "comercio", "device_id": "dispositivo", "ip": "direccion_ip",
        "city": "ciudad", "payment_method": "medio_pago", "transaction_type": "tipo_operacion", "currency": "moneda",
        "entities": {"email": "correo", "phone": "telefono"},
    },
    card_ledger: {
        "occurred_at": (["Year", "Month", "Day", "Time"], None),
        "amount": {"column": "Amount", "negative": "refund"}, "label": "Is Fraud?",
        "user_id": "User", "restaurant_id": "Merchant Name", "city": "Merchant City",
        "entities": {"card": ["User", "Card"]},
    },
    shop_orders: {
        "transaction_id": "Transaction ID", "occurred_at": ("Transaction Date", None), "amount": "Transaction Amount",
        "label": "Is Fraudulent", "user_id": "Customer ID", "ip": "IP Address", "city": "Customer Location",
        "payment_method": "Payment Method",
        "entities": {"address": "Shipping Address", "billing_address": "Billing Address"},
    },
    synthetic: {
        "transaction_id": "Transaction_ID", "occurred_at": ("Timestamp", None), "amount": "Transaction_Amount",
        "label": "Fraud_Label", "user_id": "User_ID", "city": "Location", "transaction_type": "Transaction_Type",
        "payment_method": "Card_Type",
    },
    bank_export: {
        "transaction_id": "TransactionID", "occurred_at": ("TransactionDate", None), "amount": "TransactionAmount",
        "label": None, "user_id": "AccountID", "device_id": "DeviceID", "ip": "IP Address",
        "restaurant_id": "MerchantID", "city": "Location", "transaction_type": "TransactionType",
    },
    supermarket: {
        "occurred_at": ("step", "h"), "amount": "amount", "label": "fraud", "user_id": "customer",
        "restaurant_id": "merchant",
    },
    abbreviated: {
        "transaction_id": "txid", "occurred_at": ("ts", "ms"), "amount": {"column": "amt_cents", "unit": "cents"},
        "label": "cbk", "user_id": "usr", "restaurant_id": "mrch", "device_id": "dev_fp", "ip": "remote_addr",
        "currency": "ccy", "entities": {"card": "cc_hash"},
    },
}  # fmt: skip


@pytest.mark.parametrize("shape", ESSENTIALS, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("text", [True, False], ids=["text", "typed"])
def test_tables_of_many_shapes_load_with_their_essentials_right(shape: Callable[[Maker], Columns], text: bool) -> None:
    sample = table(shape(Maker()), text=text)
    found = guess(sample, NOW)
    tx = found.transaction
    for key, wanted in ESSENTIALS[shape].items():
        if key == "label":
            assert (found.label["is_fraud"]["column"] if found.label else None) == wanted
        elif key == "occurred_at":
            how = tx[key] if isinstance(tx[key], dict) else {"column": tx[key]}
            assert (how["column"], how.get("epoch")) == wanted
        else:
            assert tx.get(key) == wanted, key
    trial = loaded(found, sample)
    assert trial.accepted == trial.rows, trial.reasons
    assert trial.repeated == 0
    if found.label is not None:
        assert trial.fraud == int(Maker().fraud.sum())
    assert {name for f in found.findings for name in f.columns} == {name for name in sample.column_names if name}


def test_what_is_unsure_is_marked_and_what_is_sure_is_not() -> None:
    found = guess(table(credit_card(Maker())), NOW)
    unsure = {finding.taken_as for finding in found.findings if not finding.sure}
    assert unsure == {"transaction_id", "user_id", "occurred_at", "label.known_at"}
    text = mapping_text(found, {"name": "x", "source": {"files": "x.csv"}}, "x.csv")
    assert text.count("DECIDE") == len(unsure) + 1  # and once in the first lines
    assert "every transaction is a user of its own" in " ".join(text.replace("#", " ").split())

    sure = guess(table(abbreviated(Maker())), NOW, "45d")
    assert [finding.taken_as for finding in sure.findings if not finding.sure] == []
    assert sure.label is not None and sure.label["known_at"] == {"delay": "45d"}


def test_numbers_of_which_some_are_not_available_are_numbers() -> None:
    sample = table(credit_card(Maker()))
    words = pa.array(["NA", "nan", "NULL"]).take(pa.array([row % 3 for row in range(sample.num_rows)]))
    some = pa.array([row % 7 < 3 for row in range(sample.num_rows)])
    place = sample.column_names.index("V2")
    sample = sample.set_column(place, "V2", pc.if_else(some, words, sample["V2"]))
    found = guess(sample, NOW)
    assert "V2" not in {name for f in found.findings if f.taken_as != "numeric" for name in f.columns}
    assert loaded(found, sample).accepted == sample.num_rows


def test_a_table_without_times_says_what_is_lacking() -> None:
    maker = Maker()
    found = guess(table({"distance": maker.floats(), "price": maker.money(), "fraud": maker.fraud.astype(int)}), NOW)
    assert found.lacking == ["occurred_at"]
    text = mapping_text(found, {"name": "x", "source": {"files": "x.csv"}}, "x.csv")
    assert "occurred_at: DECIDE" in text
    parse_mapping(yaml.safe_load(text))


@settings(deadline=None)
@given(st.recursive(st.text() | st.integers() | st.booleans() | st.floats(allow_nan=False), st.lists))
def test_values_survive_being_written(value: Any) -> None:
    assert yaml.safe_load(f"key: {flow({'a': value})}") == {"key": {"a": value}}

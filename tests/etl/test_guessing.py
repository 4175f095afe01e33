"""Guessing what other people's tables mean, on tables of the shapes that fraud data sets have."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.guessing.draft import LEFT_OUT, NEVER
from etl.guessing.guess import Guess, Trial, guess, try_out
from etl.guessing.names import column_name
from etl.guessing.text import flow, mapping_text
from etl.loading import clock
from etl.mapping import parse_mapping

ROWS = 3_000
NOW = time.time_ns() // 1_000
Columns = dict[str, Any]


def table(columns: Columns, *, text: bool = True) -> pa.Table:
    """A table as a CSV file gives it (text), or typed."""
    if not text:
        return pa.table(columns)
    return pa.table({name: pa.array([_written(v) for v in values], pa.string()) for name, values in columns.items()})


def _written(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return str(value)


class Maker:
    """Makes columns of random values."""

    def __init__(self, seed: int = 7, rows: int = ROWS) -> None:
        self.rng = np.random.default_rng(seed)
        self.n = rows
        self.fraud = self.rng.random(rows) < 0.03

    def ids(self, prefix: str, many: int) -> list[str]:
        return [f"{prefix}{value}" for value in self.rng.integers(1, many, self.n)]

    def numbers(self, low: int, high: int) -> Any:
        return self.rng.integers(low, high, self.n)

    def money(self) -> Any:
        return np.round(self.rng.lognormal(3, 1, self.n), 2)

    def floats(self) -> Any:
        return self.rng.normal(size=self.n)

    def choice(self, *values: Any) -> list[Any]:
        return list(self.rng.choice(np.array(values, dtype=object), self.n))

    def moments(self, first: str = "2023-01-01", days: int = 60) -> list[Any]:
        seconds = np.sort(self.rng.integers(0, days * 86_400, self.n))
        return list(np.datetime64(first, "s") + seconds)

    def times(self, form: str = "%Y-%m-%d %H:%M:%S", first: str = "2023-01-01", days: int = 60) -> list[str]:
        return [moment.item().strftime(form) for moment in self.moments(first, days)]

    def hashes(self, many: int | None = None, digits: int = 32) -> list[str]:
        pool = [self.rng.bytes(digits // 2).hex() for _ in range(many or self.n)]
        return pool if many is None else list(self.rng.choice(pool, self.n))

    def addresses(self, many: int) -> list[str]:
        pool = [".".join(map(str, self.rng.integers(1, 255, 4))) for _ in range(many)]
        return list(self.rng.choice(pool, self.n))


def credit_card(m: Maker) -> Columns:
    """Time, anonymous components, amount, class: nobody and nothing is named."""
    parts = {f"V{i}": m.floats() for i in range(1, 29)}
    time_column = np.sort(m.rng.integers(0, 172_792, m.n)).astype(float)
    return {"Time": time_column, **parts, "Amount": m.money(), "Class": m.fraud.astype(int)}


def vesta(m: Maker) -> Columns:
    """Many numbered columns about a card that has no number."""
    return {
        "TransactionID": np.arange(2_987_000, 2_987_000 + m.n),
        "isFraud": m.fraud.astype(int),
        "TransactionDT": np.sort(m.rng.integers(86_400, 15_000_000, m.n)),
        "TransactionAmt": m.money(),
        "ProductCD": m.choice("W", "C", "R", "H", "S"),
        "card1": m.numbers(1_000, 2_500),
        "card2": m.choice(111.0, 321.0, 555.0, 490.0, None),
        "card3": m.choice(150.0, 185.0),
        "card4": m.choice("visa", "mastercard", "discover", "american express"),
        "card5": m.choice(102.0, 226.0, 166.0, 117.0),
        "card6": m.choice("debit", "credit"),
        "addr1": m.numbers(100, 220).astype(float),
        "addr2": m.choice(87.0, 60.0, 96.0),
        "dist1": m.choice(19.0, None, 287.0),
        "P_emaildomain": m.choice("gmail.com", "yahoo.com", "anonymous.com", None),
        "R_emaildomain": m.choice("gmail.com", "hotmail.com", None, None),
        **{f"C{i}": m.numbers(0, 40).astype(float) for i in range(1, 15)},
        **{f"D{i}": m.numbers(0, 600).astype(float) for i in range(1, 16)},
        **{f"M{i}": m.choice("T", "F", None) for i in range(1, 10)},
        **{f"V{i}": m.numbers(0, 5).astype(float) for i in range(1, 60)},
        "id_01": -m.numbers(0, 100).astype(float),
        "id_02": m.numbers(1, 900_000).astype(float),
        "DeviceType": m.choice("mobile", "desktop", None),
        "DeviceInfo": m.choice("Windows", "iOS Device", "MacOS", "SM-J700M Build/MMB29K"),
    }


def mobile_money(m: Maker) -> Columns:
    """Steps of an hour, from one name to another."""
    return {
        "step": np.sort(m.rng.integers(1, 744, m.n)),
        "type": m.choice("PAYMENT", "TRANSFER", "CASH_OUT", "DEBIT", "CASH_IN"),
        "amount": m.money(),
        "nameOrig": m.ids("C", 2_000_000_000),
        "oldbalanceOrg": m.money(),
        "newbalanceOrig": m.money(),
        "nameDest": m.ids("M", 800),
        "oldbalanceDest": m.money(),
        "newbalanceDest": m.money(),
        "isFraud": m.fraud.astype(int),
        "isFlaggedFraud": (m.fraud & (m.rng.random(m.n) < 0.05)).astype(int),
    }


def first_purchases(m: Maker) -> Columns:
    """Everybody buys once; several accounts share a device."""
    purchase = np.array(m.moments(), dtype="datetime64[s]")
    signup = purchase - m.rng.integers(60, 80 * 86_400, m.n).astype("timedelta64[s]")
    order = m.rng.permutation(m.n)
    return {
        "user_id": m.rng.permutation(np.arange(1, m.n + 1)),
        "signup_time": [str(v).replace("T", " ") for v in signup[order]],
        "purchase_time": [str(v).replace("T", " ") for v in purchase[order]],
        "purchase_value": m.numbers(9, 154),
        "device_id": m.ids("QVPSPJUOCK", 2_400),
        "source": m.choice("SEO", "Ads", "Direct"),
        "browser": m.choice("Chrome", "IE", "Safari", "FireFox", "Opera"),
        "sex": m.choice("M", "F"),
        "age": m.numbers(18, 76),
        "ip_address": m.rng.uniform(5e4, 4.2e9, m.n),
        "class": m.fraud.astype(int),
    }


def bank_accounts(m: Maker) -> Columns:
    """Applications for accounts: thirty mixed columns, no id, no person, and only months."""
    return {
        "fraud_bool": m.fraud.astype(int),
        "income": m.choice(0.1, 0.3, 0.5, 0.8, 0.9),
        "name_email_similarity": m.rng.random(m.n),
        "prev_address_months_count": m.numbers(-1, 380),
        "current_address_months_count": m.numbers(-1, 400),
        "customer_age": m.choice(10, 20, 30, 40, 50, 60),
        "days_since_request": m.rng.exponential(0.1, m.n),
        "intended_balcon_amount": m.rng.normal(2, 20, m.n),
        "payment_type": m.choice("AA", "AB", "AC", "AD", "AE"),
        "zip_count_4w": m.numbers(1, 6_000),
        "velocity_6h": m.rng.uniform(-100, 16_000, m.n),
        "velocity_24h": m.rng.uniform(1_300, 9_500, m.n),
        "velocity_4w": m.rng.uniform(2_800, 7_000, m.n),
        "bank_branch_count_8w": m.numbers(0, 2_300),
        "date_of_birth_distinct_emails_4w": m.numbers(0, 39),
        "employment_status": m.choice("CA", "CB", "CC", "CD"),
        "credit_risk_score": m.numbers(-170, 390),
        "email_is_free": m.numbers(0, 2),
        "housing_status": m.choice("BA", "BB", "BC"),
        "phone_home_valid": m.numbers(0, 2),
        "phone_mobile_valid": m.numbers(0, 2),
        "bank_months_count": m.numbers(-1, 32),
        "has_other_cards": m.numbers(0, 2),
        "proposed_credit_limit": m.choice(200.0, 500.0, 1_000.0, 1_500.0, 2_000.0),
        "foreign_request": m.numbers(0, 2),
        "source": m.choice("INTERNET", "TELEAPP"),
        "session_length_in_minutes": m.rng.exponential(7, m.n),
        "device_os": m.choice("windows", "linux", "macintosh", "other", "x11"),
        "keep_alive_session": m.numbers(0, 2),
        "device_distinct_emails_8w": m.choice(-1, 0, 1, 2),
        "device_fraud_count": np.zeros(m.n, dtype=int),
        "month": np.sort(m.numbers(0, 8)),
    }


def card_holders(m: Maker) -> Columns:
    """Card numbers, people's names, and two clocks that disagree by seven years."""
    cards = m.rng.integers(4 * 10**15, 5 * 10**15, 300)
    holder = m.rng.integers(0, 300, m.n)
    moments = np.array(m.moments("2019-01-01"), dtype="datetime64[s]")
    first = m.rng.choice(np.array(["Ana", "Jorge", "Lucy", "Ivan", "Rosa", "Carl", "Mina"]), 300)
    last = m.rng.choice(np.array(["Paz", "Soto", "Hill", "Ruiz", "Kim", "Berg"]), 300)
    cities = np.array([f"City {i}" for i in range(120)])
    return {
        "": np.arange(m.n),
        "trans_date_trans_time": [str(v).replace("T", " ") for v in moments],
        "cc_num": cards[holder],
        "merchant": m.choice(*[f"fraud_Shop, {i} and Sons" for i in range(300)]),
        "category": m.choice("misc_net", "grocery_pos", "gas_transport"),
        "amt": m.money(),
        "first": first[holder],
        "last": last[holder],
        "gender": m.choice("F", "M"),
        "street": [f"{h} Main Street Apt. {h}" for h in holder],
        "city": cities[holder % 120],
        "state": m.choice("NC", "WA", "ID", "MT"),
        "zip": np.array([f"{i:05d}" for i in range(300)])[holder],
        "lat": m.rng.uniform(30, 48, 300).round(4)[holder],
        "long": m.rng.uniform(-120, -70, 300).round(4)[holder],
        "city_pop": m.rng.integers(100, 10**6, 300)[holder],
        "job": m.choice(*[f"Engineer {i}" for i in range(200)]),
        "dob": [f"19{50 + h % 49}-0{1 + h % 9}-1{h % 9}" for h in holder],
        "trans_num": m.hashes(),
        "unix_time": moments.astype(np.int64) - 7 * 365 * 86_400,
        "merch_lat": m.rng.uniform(30, 48, m.n),
        "merch_long": m.rng.uniform(-120, -70, m.n),
        "is_fraud": m.fraud.astype(int),
    }


def handbook(m: Maker) -> Columns:
    """The Handbook's tables, with the clocks that its own files have."""
    seconds = np.sort(m.rng.integers(0, 30 * 86_400, m.n))
    return {
        "TRANSACTION_ID": np.arange(m.n),
        "TX_DATETIME": [str(np.datetime64("2018-04-01") + np.timedelta64(int(s), "s")) for s in seconds],
        "CUSTOMER_ID": m.numbers(0, 4_999),
        "TERMINAL_ID": m.numbers(0, 9_999),
        "TX_AMOUNT": m.money(),
        "TX_TIME_SECONDS": seconds,
        "TX_TIME_DAYS": seconds // 86_400,
        "TX_FRAUD": m.fraud.astype(int),
        "TX_FRAUD_KIND": np.where(m.fraud, m.rng.integers(1, 4, m.n), 0),
    }


def spanish(m: Maker) -> Columns:
    """A Peruvian platform's export."""
    days = m.numbers(1, 60)
    moments = np.array(m.moments(), dtype="datetime64[s]")
    reported = [
        str((t + np.timedelta64(int(d), "D")).astype("datetime64[D]")) for t, d in zip(moments, days, strict=True)
    ]
    return {
        "nro_operacion": [f"OP-{i:07d}" for i in m.rng.permutation(m.n)],
        "fecha_hora": [v.item().strftime("%d/%m/%Y %H:%M") for v in moments],
        "id_cliente": m.ids("CL", 700),
        "monto": [f"S/ {v:,.2f}" for v in m.money()],
        "moneda": m.choice("PEN", "PEN", "USD"),
        "comercio": m.ids("REST", 80),
        "dispositivo": m.hashes(500, 16),
        "direccion_ip": m.addresses(400),
        "ciudad": m.choice("Lima", "Cusco", "Arequipa"),
        "medio_pago": m.choice("Yape", "Tarjeta", "Efectivo"),
        "tipo_operacion": m.choice("consumo", "delivery", "reserva"),
        "correo": [f"cliente{i}@correo.pe" for i in m.numbers(1, 700)],
        "telefono": [f"9{v:08d}" for v in m.rng.integers(0, 900, m.n) * 7_919],
        "fraude": np.where(m.fraud, "Sí", "No"),
        "fecha_contracargo": [day if bad else None for day, bad in zip(reported, m.fraud, strict=True)],
    }


def card_ledger(m: Maker) -> Columns:
    """Amounts with signs, refunds, yes and no, parts of dates."""
    signs = np.where(m.rng.random(m.n) < 0.03, "-", "")
    return {
        "User": m.numbers(0, 300),
        "Card": m.numbers(0, 6),
        "Year": np.sort(m.numbers(2015, 2020)),
        "Month": m.numbers(1, 13),
        "Day": m.numbers(1, 29),
        "Time": [f"{h:02d}:{mi:02d}" for h, mi in zip(m.numbers(0, 24), m.numbers(0, 60), strict=True)],
        "Amount": [f"${s}{v:.2f}" for s, v in zip(signs, m.money(), strict=True)],
        "Use Chip": m.choice("Swipe Transaction", "Chip Transaction", "Online Transaction"),
        "Merchant Name": m.choice(*[int(v) for v in m.rng.integers(-(2**62), 2**62, 200)]),
        "Merchant City": m.choice("La Verne", "Monterey Park", "ONLINE"),
        "Merchant State": m.choice("CA", "NY", None),
        "Zip": m.choice(91750.0, 91754.0, None),
        "MCC": m.choice(5300, 5411, 5651, 5912),
        "Errors?": m.choice("Bad PIN", "Insufficient Balance", None, None, None),
        "Is Fraud?": np.where(m.fraud, "Yes", "No"),
    }


def shop_orders(m: Maker) -> Columns:
    """Titled columns with blanks, and properties that sound like things."""
    return {
        "Transaction ID": [f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}" for h in m.hashes()],
        "Customer ID": [h[:24] for h in m.hashes(900)],
        "Transaction Amount": m.money(),
        "Transaction Date": m.times(),
        "Payment Method": m.choice("PayPal", "credit card", "debit card", "bank transfer"),
        "Product Category": m.choice("electronics", "toys & games", "clothing"),
        "Quantity": m.numbers(1, 6),
        "Customer Age": m.numbers(18, 75),
        "Customer Location": m.choice("Amandaborough", "East Timothy", "Davismouth", "Lynnberg"),
        "Device Used": m.choice("mobile", "desktop", "tablet"),
        "IP Address": m.addresses(1_500),
        "Shipping Address": [f"{i} Oak Road, Springfield {i % 97}" for i in m.numbers(1, 900)],
        "Billing Address": [f"{i} Oak Road, Springfield {i % 97}" for i in m.numbers(1, 900)],
        "Is Fraudulent": m.fraud.astype(int),
        "Account Age Days": m.numbers(1, 365),
        "Transaction Hour": m.numbers(0, 24),
    }


def synthetic(m: Maker) -> Columns:
    """Features that somebody made, beside what they were made of."""
    return {
        "Transaction_ID": [f"TXN_{i}" for i in m.rng.permutation(m.n)],
        "User_ID": m.ids("USER_", 900),
        "Transaction_Amount": m.money(),
        "Transaction_Type": m.choice("POS", "Online", "ATM Withdrawal", "Bank Transfer"),
        "Timestamp": m.times("%Y-%m-%dT%H:%M:%SZ"),
        "Account_Balance": m.money(),
        "Device_Type": m.choice("Laptop", "Tablet", "Mobile"),
        "Location": m.choice("Sydney", "New York", "Mumbai", "Tokyo", "London"),
        "Merchant_Category": m.choice("Travel", "Clothing", "Restaurants"),
        "IP_Address_Flag": m.numbers(0, 2),
        "Previous_Fraudulent_Activity": m.numbers(0, 2),
        "Daily_Transaction_Count": m.numbers(1, 15),
        "Avg_Transaction_Amount_7d": m.money(),
        "Failed_Transaction_Count_7d": m.numbers(0, 5),
        "Card_Type": m.choice("Amex", "Visa", "Mastercard", "Discover"),
        "Card_Age": m.numbers(1, 240),
        "Transaction_Distance": m.rng.uniform(0, 5_000, m.n).round(2),
        "Authentication_Method": m.choice("OTP", "Password", "Biometric", "PIN"),
        "Risk_Score": m.rng.random(m.n).round(4),
        "Is_Weekend": m.numbers(0, 2),
        "Fraud_Label": m.fraud.astype(int),
    }


def bank_export(m: Maker) -> Columns:
    """Dates with slashes, no label."""
    return {
        "TransactionID": [f"TX{i:06d}" for i in range(m.n)],
        "AccountID": m.ids("AC00", 495),
        "TransactionAmount": m.money(),
        "TransactionDate": m.times("%m/%d/%Y %H:%M"),
        "TransactionType": m.choice("Debit", "Credit"),
        "Location": m.choice("San Diego", "Houston", "Mesa", "Raleigh"),
        "DeviceID": m.ids("D000", 680),
        "IP Address": m.addresses(590),
        "MerchantID": m.ids("M", 100),
        "Channel": m.choice("ATM", "Online", "Branch"),
        "CustomerAge": m.numbers(18, 80),
        "CustomerOccupation": m.choice("Doctor", "Student", "Retired", "Engineer"),
        "TransactionDuration": m.numbers(10, 300),
        "LoginAttempts": m.numbers(1, 6),
        "AccountBalance": m.money(),
    }


def supermarket(m: Maker) -> Columns:
    """Simulated payments of customers at merchants, with quotes in the values."""
    return {
        "step": np.sort(m.numbers(0, 180)),
        "customer": [f"'{v}'" for v in m.ids("C", 800)],
        "age": m.choice("'1'", "'2'", "'3'", "'U'"),
        "gender": m.choice("'M'", "'F'", "'E'"),
        "zipcodeOri": ["'28007'"] * m.n,
        "merchant": [f"'{v}'" for v in m.ids("M", 50)],
        "zipMerchant": ["'28007'"] * m.n,
        "category": m.choice("'es_transportation'", "'es_food'", "'es_health'"),
        "amount": m.money(),
        "fraud": m.fraud.astype(int),
    }


def abbreviated(m: Maker) -> Columns:
    """A data base of few letters, epochs in milliseconds, cents."""
    first = 1_672_531_200_000
    return {
        "txid": m.hashes(digits=24),
        "ts": first + np.sort(m.rng.integers(0, 60 * 86_400_000, m.n)),
        "usr": m.numbers(1, 600),
        "amt_cents": m.numbers(100, 90_000),
        "ccy": m.choice("EUR", "USD"),
        "mrch": m.ids("m", 90),
        "dev_fp": m.hashes(700, 16),
        "remote_addr": m.addresses(300),
        "cc_hash": m.hashes(650, 40),
        "cbk": m.fraud.astype(int),
        "cbk_dt": [first // 1_000 + 90 * 86_400 + i if bad else None for i, bad in enumerate(m.fraud)],
    }


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


def loaded(found: Guess, sample: pa.Table) -> Trial:
    """What becomes of the sample under the mapping file that is written."""
    text = mapping_text(found, {"name": "x", "source": {"files": "x.csv"}}, "x.csv")
    mapping = parse_mapping(yaml.safe_load(text))
    return try_out(mapping, sample, clock())


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


def test_a_time_of_day_that_cannot_be_read_is_told() -> None:
    columns = handbook(Maker())
    stamps = columns.pop("TX_DATETIME")
    sample = table({"date": [s[:10] for s in stamps], "hour": [str(25 + i % 9) for i in range(ROWS)], **columns})
    found = guess(sample, NOW)
    (finding,) = [finding for finding in found.findings if finding.taken_as == "occurred_at"]
    assert finding.columns == ("date",)
    assert "the time of day stands in hour" in finding.doubt
    assert loaded(found, sample).accepted == ROWS


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

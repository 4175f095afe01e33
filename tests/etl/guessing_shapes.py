"""Tables of the shapes that fraud data sets have."""

import numpy as np

from tests.etl.guessing_samples import Columns, Maker


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

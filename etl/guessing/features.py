"""Which columns are the amount, currency, city, method and type, and what the others can tell a model."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from etl import cleaning
from etl.contract.refunds import contradict_refund
from etl.guessing.draft import LEFT_OUT, Draft, quoted
from etl.guessing.profile import Column, money
from etl.guessing.time_readings import is_clock
from etl.guessing.times import PLACEHOLDER, grows_with_time
from etl.mapping import CATEGORY_FIELDS, AmountColumn

_BEST_AMOUNTS = {"amount", "amt", "amnt", "monto", "mto", "importe", "imp"}
_METHOD_WORDS = {"payment", "payments", "pago", "pagos", "pay"}
_MOSTLY = 0.5
_MOST_CATEGORIES = 1_000
_NUMBERED = re.compile(r"^(.*?)(\d+)$")
_SIGNS = re.compile(r"[*?\[\]]")


def find_amount(draft: Draft) -> None:
    """Decides which column is the amount, and how it is to be read."""
    scored = sorted(((_amount_score(c), -i, c) for i, c in enumerate(draft.free)), key=lambda s: s[:2], reverse=True)
    if not scored or scored[0][0] < 0.05:
        draft.transaction["amount"] = PLACEHOLDER
        draft.settle(
            [], "amount", "no column of amounts was found",
            "nothing in this table looks like an amount, and Quipu cannot do without; add such a column to the source "
            "and name it here",
        )  # fmt: skip
        return
    score, _, column = scored[0]
    doubts = []
    close = [c.name.text for s, _, c in scored[1:] if s > score - 0.08 and s > 0.3]
    if close:
        doubts.append(f"{quoted(close)} could be the amount as well")
    elif score < 0.5:
        doubts.append("its name does not say that it is the amount of the transaction; it only comes closest")
    how: dict[str, Any] = {"column": column.name.text}
    if column.decimal_comma:
        how["decimal"] = ","
    if column.name.has("cents") and column.whole:
        how["unit"] = "cents"
    _, negative = money(column, AmountColumn.model_validate(how))
    if negative > 0:
        how["negative"] = "refund"
        doubts.append(
            f"{negative:.1%} of the sample's amounts are negative and taken as refunds; "
            "with negative: refuse such rows go to quarantine"
        )
    draft.transaction["amount"] = how if len(how) > 1 else column.name.text
    why = "an amount by its name" if score >= 0.5 else "numbers that are never or seldom negative"
    if "unit" in how:
        why += ", in hundredths"
    draft.settle([column], "amount", why, ". ".join(doubts))


def _amount_score(column: Column) -> float:
    name = column.name
    if column.nested or column.time is not None or column.constant or column.filled < 0.5:
        return 0.0
    how = AmountColumn(column=name.text, decimal="," if column.decimal_comma else None)
    readable, negative = money(column, how)
    if readable < 0.95 or (column.rows >= 40 and column.two_valued):
        return 0.0
    if name.any("id", "index", "geo", "zip", "fraud", "outcome", "dispute", "time") or name.identity:
        return 0.0
    words = set(name.words)
    score = 0.15
    if name.has("amount"):
        score = 0.9 if words & _BEST_AMOUNTS else 0.8
        score += 0.1 * bool(name.any("transaction") and not name.unknown) - 0.05 * len(name.unknown)
    elif column.has_money_signs > 0.5:
        score = 0.7
    elif "limit" in words or name.has("extra"):
        score = 0.3
    elif column.numeric and column.two_decimals > 0.99 and not column.whole:
        score = 0.4
    if name.any("derived", "past"):
        score *= 0.5 if words & {"limit"} else 0.3
    if name.any("extra", "kind", "unit", "began") and "limit" not in words:
        score *= 0.4
    if negative > 0.3:
        return 0.0
    return score * (0.6 if negative > 0.05 else 1.0)


def find_categories(draft: Draft) -> None:
    """Decides about currency, payment method, type of transaction and city."""
    for key, score in (
        ("currency", _currency_score), ("transaction_type", _type_score), ("payment_method", _method_score),
        ("city", _city_score),
    ):  # fmt: skip
        scored = sorted(((score(c), -i, c) for i, c in enumerate(draft.free)), key=lambda s: s[:2], reverse=True)
        if not scored or scored[0][0] < 0.5:
            continue
        best, _, column = scored[0]
        close = [c.name.text for s, _, c in scored[1:] if s > best - 0.05]
        doubt = f"{quoted(close)} could be it as well" if close else ""
        if best < 0.65:
            doubt = doubt or "its name only hints at it"
        if key == "transaction_type" and _told_otherwise(draft, column) > _MOSTLY:
            draft.transaction.setdefault("categorical", []).append(column.name.text)
            draft.settle(
                [column], "categorical", "types, of which none names the refunds",
                "negative amounts are taken as refunds, but have types that say something else. Where these are no "
                "refunds, name it transaction_type instead, and such rows go to quarantine",
            )  # fmt: skip
            continue
        draft.transaction[key] = column.name.text
        draft.settle([column], key, f"by its name; {column.distinct:,} different values", doubt)


def _told_otherwise(draft: Draft, types: Column) -> float:
    """Of the negative amounts that are taken as refunds, the share whose type says something else."""
    how = draft.transaction.get("amount")
    if not isinstance(how, dict) or how.get("negative") != "refund":
        return 0.0
    read = cleaning.amounts(draft.columns[how["column"]].array, AmountColumn.model_validate(how))
    other = contradict_refund(cleaning.categories(types.array))
    return float(other[read.negative].mean()) if read.negative.any() else 0.0


def _wordy(column: Column, most: int) -> bool:
    """It could be a category: text, or short codes, of not too many values."""
    return (
        not column.nested and column.time is None and 0 < column.distinct <= most and column.longest <= 100
        and (not column.numeric or (column.whole and column.distinct <= 50)) and column.looks_like_coordinates < 0.5
    )  # fmt: skip


def _currency_score(column: Column) -> float:
    if not column.name.has("currency") or column.numeric or not _wordy(column, 200):
        return 0.0
    return 0.9 if column.looks_like_currency > 0.5 else 0.6


def _type_score(column: Column) -> float:
    name, words = column.name, set(column.name.words)
    if not words & {"type", "tipo", "kind"} or not _wordy(column, 60) or words & _METHOD_WORDS:
        return 0.0
    if name.has("transaction"):
        return 0.9 - 0.1 * len(name.unknown)
    return 0.85 if name.concepts == {"kind"} and not name.unknown else 0.0


def _method_score(column: Column) -> float:
    name, words = column.name, set(column.name.words)
    if not _wordy(column, 60) or name.any("derived", "amount", "user", "merchant", "past"):
        return 0.0
    if name.has("method") and (name.any("transaction") or words <= {"method", "metodo", "medio", "medios", "forma"}):
        return 0.9
    if words & _METHOD_WORDS and name.any("kind", "method"):
        return 0.9
    if name.has("method") and words & {"tender", "instrument"}:
        return 0.8
    if column.looks_like_method >= 0.6:
        return 0.7 if name.has("card") else 0.65
    return 0.55 if name.has("card", "kind") and words & {"type", "tipo", "brand", "marca"} else 0.0


def _city_score(column: Column) -> float:
    name = column.name
    if not name.any("city", "region") or column.numeric or not _wordy(column, 20_000):
        return 0.0
    if name.any("derived", "id", "kind", "geo", "ip") or column.words_a_value > 4:
        return 0.0
    if column.rows >= 100 and column.uniqueness > 0.6:
        return 0.0
    words = set(name.words)
    score = 0.95 if words & {"city", "ciudad"} else 0.9 if name.has("city") else 0.6
    return score - 0.15 * name.has("merchant") - 0.1 * len(name.unknown) - 0.1 * (name.has("past"))


def find_features(draft: Draft) -> None:
    """Decides about every column that is left: a number, a category, or nothing for a model."""
    numeric: list[Column] = []
    categorical: list[Column] = []
    for column in draft.free:
        out, doubt = _useless(column, draft)
        if out:
            draft.settle([column], LEFT_OUT, out, doubt)
        elif _is_category(column):
            if column.distinct > _most(column):
                draft.settle([column], LEFT_OUT, *_too_many(column))
            else:
                categorical.append(column)
        elif column.numeric:
            numeric.append(column)
        else:
            draft.settle([column], LEFT_OUT, *_too_many(column))
    _note_kinds(draft, numeric, "numeric", "a number")
    _note_kinds(draft, categorical, "categorical", "a category")


def group(draft: Draft) -> None:
    """Writes numbered columns (V1 … V28) as globs, where these match nothing else."""
    tx = draft.transaction
    fixed = {tx[key] for key in CATEGORY_FIELDS if key in tx}
    used = {*_columns(tx), *_columns(draft.label or {})} | fixed
    for key in ("categorical", "numeric"):
        if tx.get(key):
            tx[key] = _globs(tx[key], list(draft.columns), used)
            used.update(name for f in draft.findings if f.taken_as == "categorical" for name in f.columns)


def _columns(block: dict[str, Any]) -> set[str]:
    """Columns that a block of a mapping names, those of globs and of further features left out."""
    names: set[str] = set()
    for key, value in block.items():
        if key in {"numeric", "categorical"}:
            continue
        if isinstance(value, str):
            names.add(value)
        elif isinstance(value, dict):
            names |= _columns({"column": value["column"]}) if "column" in value else _columns(value)
        elif isinstance(value, list):
            names |= {part["column"] if isinstance(part, dict) else part for part in value}
    return names


def _globs(names: Sequence[str], columns: Sequence[str], used: set[str]) -> list[str]:
    families: dict[str, list[str]] = {}
    for name in names:
        found = _NUMBERED.match(name)
        if found and found[1] and not _SIGNS.search(found[1]):
            families.setdefault(found[1], []).append(name)
    written: dict[str, None] = {}
    for name in names:
        found = _NUMBERED.match(name)
        family = families.get(found[1], []) if found else []
        patterns = [f"{found[1]}*", f"{found[1]}[0-9]*"] if found and len(family) >= 3 else []
        fitting = [p for p in patterns if {c for c in columns if fnmatchcase(c, p)} - used == set(family) - used]
        written[fitting[0] if fitting and name not in used else name] = None
    return list(written)


def _note_kinds(draft: Draft, columns: list[Column], key: str, what: str) -> None:
    if not columns:
        return
    draft.transaction[key] = [column.name.text for column in columns]
    for column in columns:
        history = column.name.any("fraud", "dispute")
        scored = {"risk", "score"} & set(column.name.words) and column.name.any("derived") and column.numeric
        doubt = ""
        if history:
            doubt = "it counts earlier frauds: right only if it holds what was known when the transaction was made"
        elif scored and not column.two_valued:
            doubt = "a score of somebody else: right only if it was there when the transaction was made"
        kind = what if key == "numeric" else f"{what}; {column.distinct:,} different values"
        draft.settle([column], key, kind, doubt)


def _most(column: Column) -> int:
    """How many different values a category may have: enough rows for each, in a sample of any size."""
    return min(_MOST_CATEGORIES, max(20, column.rows // 5))


def _useless(column: Column, draft: Draft) -> tuple[str, str]:
    """Why a column is nothing for a model, and what a person might say to it; empty where it is something."""
    name = column.name
    if not column.distinct:
        return "it is empty in the sample", ""
    if column.constant:
        return "it says the same in every row of the sample", ""
    if column.nested:
        return "lists and records cannot be features", ""
    if name.has("person") or (name.has("name") and name.any("user")):
        return "a person's name", ""
    if name.has("document"):
        return "a personal document", ""
    if grows_with_time(column, draft):
        return "it grows with time, and would tell a model the date", ""
    if name.has("index") and column.uniqueness > 0.98:
        return "a row's number", ""
    if is_clock(column.text.drop_null().unique()):
        return "a time of day without its date", ""
    if column.time is not None:
        return "a count from an unknown beginning", ""
    return "", ""


def _is_category(column: Column) -> bool:
    name = column.name
    if not column.numeric:
        return column.has_money_signs < 0.5
    if not column.whole:
        return False
    if column.code or name.any("zip", "country", "region", "city", "currency", "method", "address"):
        return not name.any("derived", "geo")
    if name.has("id") and not name.numbered and not name.any("derived", "extra", "unit", "amount"):
        return column.distinct > 2
    kinds = {"type", "tipo", "category", "categoria", "mcc", "code", "cd", "codigo", "brand", "network", "channel"}
    return bool(set(name.words) & kinds) and column.distinct > 2


def _too_many(column: Column) -> tuple[str, str]:
    if column.has_money_signs >= 0.5:
        return "amounts with currency signs; only the transaction's own is read", ""
    if column.words_a_value >= 3 or column.longest > 200:
        return "free text", ""
    why = f"too many different values for a category ({column.distinct:,})"
    if column.uniqueness > 0.98 and column.rows >= 40:
        return why, ""
    return why, "if users can have it in common, name it under entities, where it may betray a ring"

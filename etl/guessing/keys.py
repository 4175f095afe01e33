"""Which columns identify the transaction, the user, and what users share."""

import re

from etl import cleaning
from etl.guessing.draft import LEFT_OUT, Draft, quoted
from etl.guessing.profile import Column
from etl.mapping import ENTITY_FIELDS

_LEAST = {"restaurant": 3, "user": 2, "account": 2}
_INSTEAD = ("account", "card", "email", "phone", "document", "device", "cookie", "ip", "address")
"""What can stand for the user where no column names one, the best first."""
_WORDS = {
    "account": "an account", "card": "a card", "email": "an e-mail address", "phone": "a phone number",
    "document": "a document's number", "device": "a device", "cookie": "a cookie", "ip": "an IP address",
    "address": "an address",
}  # fmt: skip
_OWN_THINGS = {"device", "email", "phone", "address"}
_ITS_OWN = {"user", "account", "merchant", "card"}
"""Whose transaction it is may stand in the name of a transaction's id: `merchant_order_id`."""
_PERSONAL = {"card", "email", "phone", "document", "ip", "address", "account"}


def find_transaction_id(draft: Draft) -> None:
    """Decides which column is the transaction's id, if there is one; `find_composite_id` makes one where not."""
    scored = sorted(((_id_score(c, draft), -i, c) for i, c in enumerate(draft.free)), key=lambda s: s[:2], reverse=True)
    if not scored or scored[0][0] < 0.35:
        return
    score, _, column = scored[0]
    name = column.name.text
    repeats = max(0, draft.different_rows - column.distinct)
    doubt = ""
    if column.name.any("index") and not column.name.has("transaction"):
        doubt = "it is a row's number: other files must not begin again at the same number"
    elif score < 0.6:
        doubt = "its values never repeat, but its name does not say that it is an id"
    close = [c.name.text for s, _, c in scored[1:] if s > score - 0.05]
    if close:
        doubt = doubt or f"{quoted(close)} could be it as well"
    if repeats:
        doubt = (
            f"{repeats:,} rows of the sample repeat an id with other content; only the first of each can be loaded. If "
            "the id is only unique together with other columns, list them: [a, b]"
        )
    why = "an id by its name" if score >= 0.6 else "unique"
    draft.transaction["transaction_id"] = name
    draft.settle([column], "transaction_id", why + ("" if repeats else "; no value repeats"), doubt)


def _id_score(column: Column, draft: Draft) -> float:
    name = column.name
    if column.nested or column.time is not None or column.filled < 0.9 or column.longest > 128:
        return 0.0
    if column.numeric and not column.whole:
        return 0.0
    if name.any("time", "amount", "fraud", "outcome", "dispute", "kind", "geo", "city", "past", "derived", "extra"):
        return 0.0
    told_apart = column.uniqueness if column.uniqueness == 1 else column.distinct / max(1, draft.different_rows)
    if told_apart < (0.8 if name.has("transaction", "id") else 0.98):
        return 0.0
    if name.identity:
        return 0.7 if name.has("transaction", "id") and name.identity in _ITS_OWN else 0.0
    return _id_name_score(column, draft)


def _id_name_score(column: Column, draft: Draft) -> float:
    name = column.name
    unknown = 0.05 * len(name.unknown)
    if name.has("transaction", "id"):
        return 1.0 - unknown
    if name.has("transaction") and not name.concepts - {"transaction", "filler", "name"}:
        return 0.9 - unknown
    if name.has("index"):
        return 0.5
    if name.has("id") and not name.numbered and not name.concepts - {"id", "filler", "unit"}:
        return 0.85 - 2 * unknown
    if column.looks_like_hash > 0.95 and draft.rows >= 20:
        return 0.6
    sequential = column.whole and draft.rows >= 20
    return 0.4 if sequential and name.has("id") and not name.numbered else 0.0


def find_composite_id(draft: Draft) -> None:
    """Makes up an id of several columns where none is one."""
    if "transaction_id" in draft.transaction:
        return
    target = draft.different_rows
    # More than the sample needs, since the whole has more rows to tell apart.
    chosen = [*_listed(draft, "user_id", "occurred_at"), *draft.clock_parts, *_listed(draft, "amount", "restaurant_id")]
    chosen = list(dict.fromkeys(chosen))
    best = draft.distinct(chosen)
    others = (c for c in draft.columns.values() if c.name.text not in chosen and not c.nested and not _judged(c))
    rest = sorted((c.name.text for c in others), key=lambda name: -draft.columns[name].distinct)
    if "user_id" not in draft.transaction:
        chosen, rest = [*chosen, *rest[:1]], rest[1:]
        best = draft.distinct(chosen)
    for name in rest:
        if best >= target or len(chosen) >= 12:
            break
        count = draft.distinct([*chosen, name])
        if count > best:
            chosen.append(name)
            best = count
    draft.transaction["transaction_id"] = chosen if len(chosen) > 1 else chosen[0]
    alike = draft.rows - target
    told = f"no column is a transaction's id; these together tell {best:,} of {draft.rows:,} rows of the sample apart"
    doubt = f"{told}. Rows alike in all of them count as one transaction; name a real id where you have one"
    if alike:
        doubt += f" ({alike:,} rows of the sample are wholly alike)"
    draft.settle([], "transaction_id", f"made up of {quoted(chosen)}", doubt)


def _judged(column: Column) -> bool:
    return column.name.any("fraud", "outcome", "dispute", "known", "scenario")


def _listed(draft: Draft, *keys: str) -> list[str]:
    names: dict[str, None] = {}
    for key in keys:
        value = draft.transaction.get(key)
        value = value["column"] if isinstance(value, dict) else value
        for name in [value] if isinstance(value, str) else value or []:
            if name in draft.columns:
                names[name] = None
    return list(names)


def find_entities(draft: Draft) -> None:
    """Decides which columns identify users, devices, addresses, merchants and whatever else users can share."""
    scored: dict[str, list[tuple[float, Column]]] = {}
    for column in draft.free:
        kind, score = _identity(column)
        if score >= 0.5:
            scored.setdefault(kind, []).append((score, column))
    for pairs in scored.values():
        pairs.sort(key=lambda pair: -pair[0])
    _numbered_cards(draft, scored)
    _take_user(draft, scored)
    for kind, pairs in scored.items():
        for place, (score, column) in enumerate(pairs):
            if column in draft.free:
                _take_entity(draft, kind, column, score, first=place == 0)


def _identity(column: Column) -> tuple[str, float]:
    """What a column identifies, and how likely that is."""
    name = column.name
    if column.nested or column.time is not None or column.longest > 200 or not column.distinct:
        return "", 0.0
    if column.looks_like_ip >= 0.8:
        return "ip", 1.0
    if column.looks_like_email >= 0.8:
        return "email", 1.0
    kind = name.identity
    if kind is None or kind == "session":
        return "", 0.0
    many = column.rows >= 40
    if kind == "ip":
        return "ip", 0.6 if column.distinct > 2 or not many else 0.0
    if column.looks_like_method > 0.5 or column.looks_like_coordinates > 0.5:
        return "", 0.0
    if (many and column.distinct <= 2) or (column.numeric and not column.whole):
        return "", 0.0
    kind = "restaurant" if kind == "merchant" else kind
    exact = name.has("id") or not name.unknown
    score = (0.9 if exact else 0.65) - 0.1 * len(name.unknown) - 0.1 * (name.has("name") and not name.has("id"))
    score += 0.05 * name.has("id") - 0.4 * (kind in {"user", "account"} and column.filled < 0.95)
    told = name.has("id") or (kind in {"card", "account"} and not name.unknown and not name.numbered)
    if many and not column.repeats(_LEAST.get(kind, 10)) and not (told and column.distinct > 2):
        return "", 0.0
    if many and kind in _OWN_THINGS and not name.has("id") and (column.top_share > 0.2 or column.uniqueness < 0.05):
        return "", 0.0  # shared by so many, it is a property and no thing
    return kind, score


def _numbered_cards(draft: Draft, scored: dict[str, list[tuple[float, Column]]]) -> None:
    """Columns `card1`, `card2` … describe one card together; the address splits what they leave together."""
    cards = [column for column in draft.free if column.name.numbered and "card" in column.name.words]
    if len(cards) < 2:
        return
    scored["card"] = [pair for pair in scored.get("card", []) if pair[1] not in cards]
    region = [c for c in draft.free if c.name.numbered and "address" in c.name.concepts and c.distinct > 2][:1]
    if "user" in scored or "account" in scored:
        draft.transaction.setdefault("entities", {})["card"] = [c.name.text for c in cards]
        draft.settle([], "entities.card", f"{quoted(c.name.text for c in cards)} describe one card together")
        return
    columns = [c.name.text for c in [*cards, *region]]
    draft.transaction["user_id"] = columns
    draft.settle(
        [], "user_id", "no column names the user; together these come closest to one card",
        f"no column names the user or a card's number; {quoted(columns, 8)} together stand for the user, since whoever "
        "pays with the same card is the same person. Name an account's column where you have one",
    )  # fmt: skip


def _take_user(draft: Draft, scored: dict[str, list[tuple[float, Column]]]) -> None:
    if "user_id" in draft.transaction:
        return
    users = scored.get("user", [])
    if users:
        score, column = users[0]
        close = [c.name.text for s, c in users[1:] if s > score - 0.05]
        doubt = f"{quoted(close)} could be the user as well" if close else ""
        if score < 0.7:
            doubt = doubt or "its name only hints at a user"
        if column.filled < 0.999:
            empty = f"{1 - column.filled:.1%} of the rows name no user, and go to quarantine"
            doubt = f"{doubt}. {empty}" if doubt else empty
        once = draft.rows >= 100 and column.uniqueness == 1
        why = "a user by its name" + ("; each occurs once in the sample" if once else "")
        draft.transaction["user_id"] = column.name.text
        draft.settle([column], "user_id", why, doubt)
        return
    for kind in _INSTEAD:
        told_apart = [c for _, c in scored.get(kind, []) if draft.rows < 40 or c.repeats(10)]
        if told_apart:
            column = told_apart[0]
            draft.transaction["user_id"] = column.name.text
            doubt = "" if kind == "account" else f"no column names the user, so {_WORDS[kind]} stands for who pays"
            draft.settle([column], "user_id", f"{_WORDS[kind]} by its name or values", doubt)
            return
    people = [c for c in draft.free if c.name.has("person") and not c.numeric and c.distinct > 2]
    if len(people) >= 2:
        chosen = [*people, *(c for c in draft.free if c.name.any("zip") or "dob" in c.name.words)][:4]
        draft.transaction["user_id"] = [c.name.text for c in chosen]
        draft.settle(
            people, "user_id", "a person by name",
            f"no column is a user's id; {quoted(c.name.text for c in chosen)} together stand for the person, and "
            "people of the same name become one. Name an id where you have one",
        )  # fmt: skip


def find_user_at_last(draft: Draft) -> None:
    """Where nobody is named: something that links transactions, else each transaction stands for itself."""
    if "user_id" in draft.transaction:
        return
    linkable = [
        c for c in draft.free
        if not c.numeric and c.time is None and not c.nested and 0.02 <= c.uniqueness <= 0.95 and c.distinct >= 20
        and c.words_a_value < 2 and (c.looks_like_hash > 0.5 or c.name.has("id"))
    ]  # fmt: skip
    if linkable:
        column = max(linkable, key=lambda c: c.looks_like_hash)
        draft.transaction["user_id"] = column.name.text
        draft.settle(
            [column], "user_id", "an identifier by its values, which come back",
            "no column names the user; this one links transactions, and stands for who pays. Is it a person's, a "
            "card's or a device's?",
        )  # fmt: skip
        return
    find_composite_id(draft)
    draft.transaction["user_id"] = draft.transaction["transaction_id"]
    draft.settle(
        [], "user_id", "nothing in the table links transactions",
        "no column says who pays, nor on which device, card or address: every transaction is a user of its own, so the "
        "graph has no links and only the numbers tell fraud. Add an account, card or device to the source and name it",
    )  # fmt: skip


def _take_entity(draft: Draft, kind: str, column: Column, score: float, *, first: bool) -> None:
    tx = draft.transaction
    entities = tx.get("entities", {})
    name = column.name
    if kind == "user" or (kind == "restaurant" and not first and name.has("name")):
        draft.settle([column], LEFT_OUT, f"a {'merchant' if kind == 'restaurant' else kind}, who has another id")
        return
    few = kind in {"card", "account"} and draft.rows >= 40 and not column.repeats(10)
    doubt = "" if score >= 0.7 else f"is it {kind}s that several users can have in common? If not, take it out"
    if kind == "ip" and column.looks_like_ip < 0.8:
        doubt = "its name says IP address, but its values are not in the form of one; they link users all the same"
        kept = cleaning.identifiers("ip", column.array).values.null_count - int((~column.there).sum())
        if kept > 0.05 * draft.rows:  # as addresses they would count as missing
            kind, first = "network", True
    if first and kind in ENTITY_FIELDS:
        key = ENTITY_FIELDS[kind]
        tx[key] = name.text
        draft.settle([column], key, _why(kind, column), doubt)
        return
    key = kind if kind not in entities and kind not in ENTITY_FIELDS else _entity_name(name.text, set(entities))
    columns = [name.text]
    if few and isinstance(tx.get("user_id"), str):
        columns = [tx["user_id"], name.text]
        doubt = doubt or f"it has only {column.distinct} values, so it is told apart by the user as well"
    tx["entities"] = {**entities, key: columns if len(columns) > 1 else name.text}
    draft.settle([column], f"entities.{key}", _why(kind, column), doubt)


def _why(kind: str, column: Column) -> str:
    if kind == "ip" and column.looks_like_ip >= 0.8:
        return "IP addresses by their form"
    if kind == "email" and column.looks_like_email >= 0.8:
        return "e-mail addresses by their form"
    return "by its name" + (f"; {column.distinct:,} different in {column.rows:,} rows" if column.rows >= 20 else "")


def _entity_name(text: str, taken: set[str]) -> str:
    base = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:34] or "thing"
    base = base if base[0].isalpha() else f"x_{base}"
    if base in ENTITY_FIELDS:
        base = f"{base}_2"
    name, place = base, 2
    while name in taken:
        name, place = f"{base}_{place}", place + 1
    return name


def personal(draft: Draft) -> list[str]:
    """Mapped identifiers whose raw values a person may not want in the graph."""
    found = []
    for finding in draft.findings:
        key = finding.taken_as.removeprefix("entities.")
        kinds = {draft.columns[name].name.identity for name in finding.columns if name in draft.columns}
        mails = any(draft.columns[name].looks_like_email >= 0.8 for name in finding.columns if name in draft.columns)
        if (finding.taken_as.startswith("entities.") or key in ENTITY_FIELDS.values()) and (
            mails or kinds & _PERSONAL or key in _PERSONAL
        ):
            found.append(key)
    return found

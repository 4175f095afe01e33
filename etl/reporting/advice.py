"""What a person can do about rows that were refused, in plain words."""

from typing import Final

from etl.contract.reasons import Reason

_ANY: Final = "Look at the examples, then correct the source or the mapping."

ADVICE: Final[dict[Reason, str]] = {
    Reason.BROKEN_ROW: (
        "Look at the file at that line: a text with the delimiter or a line break in it needs quotes. If every line is "
        "broken, name the right delimiter or quote under source.csv in the mapping."
    ),
    Reason.MISSING_TRANSACTION_ID: (
        "Ask the source for an id; or, if several columns together name a transaction, list them under "
        "transaction.transaction_id."
    ),
    Reason.MISSING_USER: (
        "Ask the source who paid. Purchases without an account cannot be linked; if they carry another stable "
        "identifier, list it under transaction.user_id as well."
    ),
    Reason.ID_TOO_LONG: "Probably a wrong column, or lines that ran together: compare the row with the file.",
    Reason.TEXT_TOO_LONG: "Probably free text: take the column out of categorical, or shorten it in the source.",
    Reason.MISSING_TIME: "Ask the source when it happened; without a time a row has no place in history.",
    Reason.BAD_TIME: (
        "Say how times are written under transaction.occurred_at: format, day_first, or epoch (s, ms …). "
        "Single odd values are for the source to correct."
    ),
    Reason.ANCIENT_TIME: (
        "Often an empty time written as 1970 or 1900, or seconds read as milliseconds: check epoch in the mapping."
    ),
    Reason.FUTURE_TIME: (
        "Often a wrong time zone, day and month swapped, or milliseconds read as seconds: check timezone, day_first "
        "and epoch in the mapping; else the clock of the sender is wrong."
    ),
    Reason.MISSING_AMOUNT: (
        "Ask the source; or let it be filled in from similar transactions: missing: {amount: {impute: median, by: …}}."
    ),
    Reason.BAD_AMOUNT: (
        "See the examples: if decimals are written with a comma, say amount: {column: …, decimal: ','} in the mapping."
    ),
    Reason.NEGATIVE_AMOUNT: (
        "If these are refunds, say so: amount: {column: …, negative: refund}; where the mapping does, their "
        "transaction_type names something else. Else ask the source."
    ),
    Reason.UNKNOWN_CURRENCY: (
        "Correct it in the source; where the currency is simply not named, give transaction.currency.default."
    ),
    Reason.MISSING_RATE: "Add that currency and date to the rate table, then: quipu quarantine retry.",
    Reason.MISSING_VALUE: (
        "The mapping asks that such rows be held back (missing: … quarantine). Complete the source, or choose leave "
        "or impute."
    ),
    Reason.CONFLICTING_DUPLICATE: (
        "The same id came with other content; the first stays. If ids are only unique together with another column "
        "(a shop, a day), list both under transaction.transaction_id. Else ask the source which one is right."
    ),
    Reason.MISSING_LABEL: "Complete the label file, or leave such rows out of it.",
    Reason.BAD_LABEL: "List the values that mean fraud and genuine under is_fraud in the mapping.",
    Reason.MISSING_LABEL_TIME: "Ask the source when it was reported; or give a usual delay: known_at: {delay: 7d}.",
    Reason.BAD_LABEL_TIME: "Say how these times are written under known_at: format, day_first, timezone or epoch.",
    Reason.LABEL_BEFORE_TRANSACTION: (
        "Usually the zones of the two times differ (check timezone of both), or known_at is the wrong column."
    ),
    Reason.CONFLICTING_LABEL: (
        "One source called the same transaction fraud and genuine at the same moment; the first stays. Ask it which "
        "is right, and send the correction with a later known_at."
    ),
    Reason.MISSING_KEY: "Complete the key in the file of attributes, or drop the row.",
}


def advice(code: str) -> str:
    """What to do about rows that were refused for this reason."""
    return next((text for reason, text in ADVICE.items() if reason.value == code), _ANY)

"""Why a row is refused: every reason code with its description."""

from etl.cleaning import MAX_TEXT
from etl.cleaning.described import DescribedCode


class Reason(DescribedCode):
    """Why a row was refused, or a label not used: a stable code with a description."""

    BROKEN_ROW = "broken_row", "the line has more or fewer fields than the header, or a quote that never closes"
    MISSING_TRANSACTION_ID = "missing_transaction_id", "the transaction has no id, or one that means none"
    MISSING_USER = "missing_user", "the user has no id, or one that means none"
    ID_TOO_LONG = "id_too_long", f"an id has more than {MAX_TEXT:,} characters"
    TEXT_TOO_LONG = "text_too_long", f"a categorical value has more than {MAX_TEXT:,} characters"
    MISSING_TIME = "missing_time", "the transaction has no time"
    BAD_TIME = "bad_time", "the time cannot be read"
    ANCIENT_TIME = "ancient_time", "the time lies before 1990"
    FUTURE_TIME = "future_time", "the time lies in the future"
    MISSING_AMOUNT = "missing_amount", "the transaction has no amount"
    BAD_AMOUNT = "bad_amount", "the amount is not a finite number, or absurdly large"
    NEGATIVE_AMOUNT = "negative_amount", "the amount is negative, and the row no refund"
    UNKNOWN_CURRENCY = "unknown_currency", "the currency is no ISO 4217 code, nor a name or sign of one"
    MISSING_RATE = "missing_rate", "the rate table has no rate for the currency at that date"
    MISSING_VALUE = "missing_value", "a value is missing that the mapping's policy demands"
    CONFLICTING_DUPLICATE = "conflicting_duplicate", "the transaction id was loaded before with other content"
    MISSING_LABEL = "missing_label", "the row of a label file says neither fraud nor genuine"
    BAD_LABEL = "bad_label", "the label's value cannot be read"
    MISSING_LABEL_TIME = "missing_label_time", "nothing says when the label became known"
    BAD_LABEL_TIME = "bad_label_time", "when the label became known cannot be read, or is before 1990 or in the future"
    LABEL_BEFORE_TRANSACTION = "label_before_transaction", "the label became known before its transaction occurred"
    CONFLICTING_LABEL = "conflicting_label", "the same source said otherwise at the same moment"
    MISSING_KEY = "missing_key", "the row of attributes does not say whom it describes"


def describe(code: str) -> str:
    """The description of a reason code."""
    return next(reason.description for reason in Reason if reason.value == code)

"""What cleaning does to values, each step with a stable code: rows are counted by column and step."""

from etl.cleaning.described import DescribedCode


class Step(DescribedCode):
    """Something that cleaning did to a value: a stable code with a description."""

    INVISIBLE = "invisible_removed", "characters that nobody sees (zero-width, no-break space, byte order mark) removed"
    NULL_LIKE = "null_like", "a value that means none (null, unknown, 00000000) taken as missing"
    CASE = "case_folded", "upper and lower case made the same"
    SEPARATORS = "separators_removed", "hyphens, colons, braces and blanks inside an identifier removed"
    ADDRESS = "address_canonical", "an IP address written in its canonical form"
    BAD_ADDRESS = "bad_address", "something shaped like an IP address that is none, taken as missing"
    TIME_FORM = "time_form", "a time in a form other than ISO 8601 read"
    DAYLIGHT_SAVING = "daylight_saving", "a wall-clock time that the change of the clocks makes double or impossible"
    AMOUNT_FORM = "amount_form", "currency signs and grouping taken out of an amount"
    CURRENCY_FORM = "currency_form", "a currency's name or sign replaced by its code"
    CURRENCY_CONVERTED = "currency_converted", "an amount converted to the base currency"
    REFUND = "refund", "a negative amount taken as a refund"
    UNREADABLE = "unreadable", "an optional value that cannot be read, taken as missing"
    IMPUTED = "imputed", "a missing value filled in from earlier transactions"

"""From the columns of a source, of whatever type, to ids, times, amounts, numbers and label values.

Every function takes an Arrow array and works on all of it at once. What a value says does not
depend on the other values of its batch, nor on whether it came as text (CSV) or typed (Parquet).
"""

from etl.cleaning.columns import MAX_TEXT, Text, as_text, column_of, nulls, too_long
from etl.cleaning.currency import currencies
from etl.cleaning.joined_times import joined_times
from etl.cleaning.keys import address_ranges, categories, composite, identifiers, ids, keys_of, texts
from etl.cleaning.labels import FRAUD, GENUINE, UNLABELLED, UNREADABLE, label_values
from etl.cleaning.moments import EARLIEST, parse_time, seconds_since, times
from etl.cleaning.money import Amounts, amounts
from etl.cleaning.numeric import MAX_AMOUNT, Parsed, hundredths, numbers, optional_numbers

__all__ = [
    "EARLIEST",
    "FRAUD",
    "GENUINE",
    "MAX_AMOUNT",
    "MAX_TEXT",
    "UNLABELLED",
    "UNREADABLE",
    "Amounts",
    "Parsed",
    "Text",
    "address_ranges",
    "amounts",
    "as_text",
    "categories",
    "column_of",
    "composite",
    "currencies",
    "hundredths",
    "identifiers",
    "ids",
    "joined_times",
    "keys_of",
    "label_values",
    "nulls",
    "numbers",
    "optional_numbers",
    "parse_time",
    "seconds_since",
    "texts",
    "times",
    "too_long",
]

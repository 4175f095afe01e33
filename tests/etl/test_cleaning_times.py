"""Times of any type and form to microseconds UTC."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl import cleaning
from etl.cleaning.steps import Step
from etl.mapping import TimeColumn
from graph.errors import InputError, MappingError

UTC = dt.UTC
EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)
PLAIN = TimeColumn(column="at")
LIMA = TimeColumn(column="at", timezone="America/Lima")
MADRID = TimeColumn(column="at", timezone="Europe/Madrid")
DAY_FIRST = TimeColumn(column="at", day_first=True)


def micros(*fields: int) -> int:
    return (dt.datetime(*fields, tzinfo=UTC) - EPOCH) // dt.timedelta(microseconds=1)


def read(text: str, how: TimeColumn = PLAIN) -> dt.datetime | None:
    """What one text says: alone, and among neighbours of other forms."""
    alone = cleaning.times(pa.array([text]), how)
    others = ["x", "2024-03-01T10:15:30.123456789", "2024-03-01T10:15:30+02:00", None, "25/12/2024", "1709287200"]
    beside = cleaning.times(pa.array([*others, text], pa.string()), how)
    assert (alone.ok[0], alone.values[0]) == (beside.ok[-1], beside.values[-1]), "neighbours do not matter"
    return EPOCH + dt.timedelta(microseconds=int(alone.values[0])) if alone.ok[0] else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-04", (2026, 3, 4)),
        ("2026-03-04 14:05", (2026, 3, 4, 14, 5)),
        ("2026-03-04T14", (2026, 3, 4, 14)),
        ("2026-03-04T14Z", (2026, 3, 4, 14)),
        ("2026-03-04T14:05:00.25", (2026, 3, 4, 14, 5, 0, 250_000)),
        ("2026-03-04t14:05:00,25z", (2026, 3, 4, 14, 5, 0, 250_000)),
        ("2026-03-04T14:05:00.123456789", (2026, 3, 4, 14, 5, 0, 123_456)),
        ("2026-03-04T14:05:00Z", (2026, 3, 4, 14, 5)),
        ("2026-03-04T14:05:00-05:00", (2026, 3, 4, 19, 5)),
        ("2026-03-04T14:05:00-05", (2026, 3, 4, 19, 5)),
        ("2026-03-04T14:05:00\u221205:00", (2026, 3, 4, 19, 5)),
        (" 2026-03-04 14:05:00+0530 ", (2026, 3, 4, 8, 35)),
        ("2026-03-04T24:00", (2026, 3, 5)),
        ("2016-12-31T23:59:60Z", (2017, 1, 1)),
        ("2024-02-29", (2024, 2, 29)),
        ("20260304", (2026, 3, 4)),
        ("20260304T140500", (2026, 3, 4, 14, 5)),
        ("20260304T140500Z", (2026, 3, 4, 14, 5)),
        ("20260304T1405-0500", (2026, 3, 4, 19, 5)),
        ("2026-W10", (2026, 3, 2)),
        ("2026-W10-3", (2026, 3, 4)),
        ("2026W103T140500Z", (2026, 3, 4, 14, 5)),
        ("2026-063", (2026, 3, 4)),
        ("2026-063T14:05", (2026, 3, 4, 14, 5)),
        ("2024-366", (2024, 12, 31)),
        ("9999-12-31", (9999, 12, 31)),
        ("1899-12-30 00:00:00", (1899, 12, 30)),
    ],
)
def test_iso_8601(text: str, expected: tuple[int, ...]) -> None:
    assert read(text) == dt.datetime(*expected, tzinfo=UTC)
    assert Step.TIME_FORM not in cleaning.times(pa.array([text]), PLAIN).steps


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-04 14:05:00 UTC", (2026, 3, 4, 14, 5)),
        ("2026-03-04 14:05:00 -0500 PET", (2026, 3, 4, 19, 5)),
        ("2026-03-04 14:05:00 +0000 UTC", (2026, 3, 4, 14, 5)),
        ("2026-03-04 14:05:00 America/Lima", (2026, 3, 4, 19, 5)),
        ("2026-07-04 14:05:00 europe/madrid", (2026, 7, 4, 12, 5)),
        ("2026-03-04 14:05:00 PET", (2026, 3, 4, 19, 5)),
        ("2026/03/04 14:05", (2026, 3, 4, 14, 5)),
        ("2026.03.04", (2026, 3, 4)),
        ("2026.03.04 14.05.00", (2026, 3, 4, 14, 5)),
        ("2026-3-4 9:05", (2026, 3, 4, 9, 5)),
        ("2026-03-04-14.05.00.123456", (2026, 3, 4, 14, 5, 0, 123_456)),
        ("20260304140500", (2026, 3, 4, 14, 5)),
        ("20260304140500123", (2026, 3, 4, 14, 5, 0, 123_000)),
        ("202603041405", (2026, 3, 4, 14, 5)),
        ("03/04/2026 14:05", (2026, 3, 4, 14, 5)),
        ("3/4/2026 2:05 PM", (2026, 3, 4, 14, 5)),
        ("3/4/26 12:05:06 a.m.", (2026, 3, 4, 0, 5, 6)),
        ("12/31/99", (1999, 12, 31)),
        ("25/04/2026", (2026, 4, 25)),
        ("04/25/2026", (2026, 4, 25)),
        ("25.04.2026 14:05", (2026, 4, 25, 14, 5)),
        ("25-04-2026 14:05:00", (2026, 4, 25, 14, 5)),
        ("4 Mar 2026 2:05 pm", (2026, 3, 4, 14, 5)),
        ("4th March 2026", (2026, 3, 4)),
        ("Mar 4, 2026", (2026, 3, 4)),
        ("Sept. 4, 2026, 2:05:00 PM", (2026, 9, 4, 14, 5)),
        ("March 4th, 2026 at 14:05", (2026, 3, 4, 14, 5)),
        ("Wed, 04 Mar 2026 14:05:00 -0500", (2026, 3, 4, 19, 5)),
        ("Wed, 4 Mar 2026 14:05:00 GMT", (2026, 3, 4, 14, 5)),
        ("Wednesday, 04-Mar-26 14:05:00 GMT", (2026, 3, 4, 14, 5)),
        ("Wed Mar  4 14:05:00 2026", (2026, 3, 4, 14, 5)),
        ("Wed Mar  4 14:05:00 PET 2026", (2026, 3, 4, 19, 5)),
        ("Wed Mar 04 2026 14:05:00 GMT-0500 (Peru Standard Time)", (2026, 3, 4, 19, 5)),
        ("04/Mar/2026:14:05:00 -0500", (2026, 3, 4, 19, 5)),
        ("04-MAR-26 02.05.00.000000 PM", (2026, 3, 4, 14, 5)),
        ("04MAR2026:14:05:00", (2026, 3, 4, 14, 5)),
        ("2026-Mar-04", (2026, 3, 4)),
        ("4 de marzo de 2026", (2026, 3, 4)),
        ("04 de setiembre del 2026 a las 2:05 p. m.", (2026, 9, 4, 14, 5)),
        ("miércoles, 4 de marzo de 2026, 14:05", (2026, 3, 4, 14, 5)),
        ("mar 3 mar 2026", (2026, 3, 3)),
        ("04-ene-26 14:05", (2026, 1, 4, 14, 5)),
        ("4\u00a0Dic\u00a02026\u200b", (2026, 12, 4)),
        ("1709287200", (2024, 3, 1, 10)),
        ("1709287200.25", (2024, 3, 1, 10, 0, 0, 250_000)),
        ("1709287200123", (2024, 3, 1, 10, 0, 0, 123_000)),
        ("1709287200123456", (2024, 3, 1, 10, 0, 0, 123_456)),
        ("1709287200123456789", (2024, 3, 1, 10, 0, 0, 123_456)),
    ],
)
def test_other_forms(text: str, expected: tuple[int, ...]) -> None:
    assert read(text) == dt.datetime(*expected, tzinfo=UTC)
    assert cleaning.times(pa.array([text]), PLAIN).steps[Step.TIME_FORM].all()


@pytest.mark.parametrize(
    "text",
    [
        *("x", "2024-13-01", "2024-02-30", "2023-02-29", "2024-00-10", "2024", "10:15", "yesterday"),
        *("2024-03-01 25:00:00", "2024-03-01 24:00:01", "2024-03-01 10:60", "2024-03-01 10:15:61", "0000-00-00 00:00"),
        *("2026-W54", "2026-W10-8", "2026-000", "2026-366", "31/31/2026", "00/12/2026", "abc 4, 2026", "31 jun 2026"),
        *("2026-03-04 14:05:00 CST", "2026-03-04 14:05 Mars/Base", "2026-03-04 14:05 +25:00", "2026-03-04 14:05 am"),
        *("123456", "12345678", "123456789", "1.5", "-1709287200", "17092872001", "########", "2025-03-04T27:61:00Z"),
    ],
)
def test_text_that_is_no_time(text: str) -> None:
    assert read(text) is None
    assert cleaning.times(pa.array([text]), PLAIN).bad[0]


def test_missing_time_is_not_a_bad_one() -> None:
    nothing = pa.array(["", "  ", None, "null", " N/A", "None", "NaT", "nan"])
    for how in (PLAIN, TimeColumn(column="t", epoch="s"), TimeColumn(column="t", format="%d/%m/%Y")):
        spelled = cleaning.times(nothing, how)
        assert spelled.missing.all()
        assert spelled.steps[Step.NULL_LIKE].tolist() == [False] * 3 + [True] * 5
    parsed = cleaning.times(pa.array(["", "  ", None]), PLAIN)
    assert parsed.missing.all()
    assert not parsed.ok.any()


def test_day_first_holds_where_both_readings_are_possible() -> None:
    assert read("03/04/2026", DAY_FIRST) == dt.datetime(2026, 4, 3, tzinfo=UTC)
    assert read("25/04/2026", DAY_FIRST) == dt.datetime(2026, 4, 25, tzinfo=UTC)
    assert read("04/25/2026", DAY_FIRST) == dt.datetime(2026, 4, 25, tzinfo=UTC)
    assert read("2026-03-04", DAY_FIRST) == dt.datetime(2026, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("04-Jan-2026 10:30", "%d-%b-%Y %H:%M", (2026, 1, 4, 10, 30)),
        ("04-ene-2026 10:30", "%d-%b-%Y %H:%M", (2026, 1, 4, 10, 30)),
        ("04-Enero-2026 10:30", "%d-%B-%Y %H:%M", (2026, 1, 4, 10, 30)),
        ("20260304", "%Y%d%m", (2026, 4, 3)),
        ("04.03.26 10 -0500", "%d.%m.%y %H %z", (2026, 3, 4, 15)),
    ],
)
def test_a_format_says_everything(text: str, form: str, expected: tuple[int, ...]) -> None:
    how = TimeColumn(column="at", format=form)
    parsed = cleaning.times(pa.array([text, "2026-03-04T10:00:00", None]), how)
    assert parsed.values[0] == micros(*expected)
    assert parsed.ok.tolist() == [True, False, False]
    assert parsed.missing.tolist() == [False, False, True]


def test_a_format_that_is_none_is_a_mistake_of_the_mapping() -> None:
    with pytest.raises(MappingError, match="format '%Q' is no form of a time"):
        cleaning.times(pa.array(["1"]), TimeColumn(column="at", format="%Q"))


def test_time_zones_hold_for_times_that_name_none() -> None:
    for text in ("2024-03-01 10:00:00", "01 mar 2024 10:00", "20240301T1000"):
        assert read(text, LIMA) == dt.datetime(2024, 3, 1, 15, tzinfo=UTC)
    assert read("2024-03-01 10:00:00Z", LIMA) == dt.datetime(2024, 3, 1, 10, tzinfo=UTC)
    typed = pa.array([micros(2024, 3, 1, 10)]).view(pa.timestamp("us"))
    assert cleaning.times(typed, LIMA).values.tolist() == [micros(2024, 3, 1, 15)]
    assert cleaning.times(typed.cast(pa.timestamp("ms", tz="UTC")), LIMA).values.tolist() == [micros(2024, 3, 1, 10)]


def test_clocks_that_change_are_counted() -> None:
    text = pa.array(
        ["2018-10-28 02:30:00", "2018-03-25 02:30:00", "28/10/2018 02:30", "2018-10-28 02:30:00Z", "2018-07-01"]
    )
    expected = [
        *(micros(2018, 10, 28, 0, 30), micros(2018, 3, 25, 1), micros(2018, 10, 28, 0, 30)),
        *(micros(2018, 10, 28, 2, 30), micros(2018, 6, 30, 22)),
    ]
    parsed = cleaning.times(text, MADRID)
    assert parsed.values.tolist() == expected
    assert parsed.steps[Step.DAYLIGHT_SAVING].tolist() == [True, True, True, False, False]
    typed = cleaning.times(pa.array(np.array(["2018-10-28T02:30", "2018-07-01"], "datetime64[us]")), MADRID)
    assert typed.steps[Step.DAYLIGHT_SAVING].tolist() == [True, False]
    formatted = cleaning.times(text, MADRID.model_copy(update={"format": "%Y-%m-%d %H:%M:%S"}))
    assert formatted.steps[Step.DAYLIGHT_SAVING].tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_typed_times_of_every_unit(unit: str) -> None:
    at = pa.array([micros(2018, 4, 1, 0, 0, 31), None]).view(pa.timestamp("us"))
    parsed = cleaning.times(at.cast(pa.timestamp(unit)), PLAIN)
    assert parsed.values[0] == micros(2018, 4, 1, 0, 0, 31)
    assert parsed.missing.tolist() == [False, True]


def test_typed_times_beyond_any_calendar_are_bad_and_dates_are_times() -> None:
    assert cleaning.times(pa.array([2**62], pa.int64()).view(pa.timestamp("s")), PLAIN).bad[0]
    assert cleaning.times(pa.array([dt.date(2024, 3, 1)]), PLAIN).values[0] == micros(2024, 3, 1)
    assert cleaning.times(pa.array([dt.time(10, 15)]), PLAIN).bad[0]


@pytest.mark.parametrize(
    ("unit", "count"),
    [
        *(("h", 474_802), ("m", 28_488_120), ("s", 1_709_287_200), ("ms", 1_709_287_200_000)),
        *(("us", 1_709_287_200_000_000), ("ns", 1_709_287_200_000_000_000)),
    ],
)
def test_epochs(unit: Any, count: int) -> None:
    how = TimeColumn(column="at", epoch=unit)
    for array in (pa.array([count]), pa.array([float(count)]), pa.array([str(count)]), pa.array([f"{count}.0"])):
        assert cleaning.times(array, how).values[0] == micros(2024, 3, 1, 10)
    assert cleaning.times(pa.array(["2024-03-01"]), how).bad[0]
    assert cleaning.times(pa.array([1e300]), how).bad[0]
    assert cleaning.times(pa.array([None], pa.int64()), how).missing[0]


def test_whole_epochs_are_exact() -> None:
    how = TimeColumn(column="at", epoch="ns")
    for array in (pa.array([1_709_287_200_123_456_789]), pa.array(["1709287200123456789"])):
        assert cleaning.times(array, how).values[0] == 1_709_287_200_123_456


def test_epoch_from_an_origin() -> None:
    how = TimeColumn.model_validate({"column": "Time", "epoch": "s", "origin": dt.date(2020, 1, 1)})
    assert cleaning.times(pa.array([86_400.5]), how).values[0] == micros(2020, 1, 2, 0, 0, 0, 500_000)


@pytest.mark.parametrize("array", [pa.array([46085.586805555555]), pa.array(["46085.586805555555"])])
def test_days_with_fractions_as_spreadsheets_count_them(array: pa.Array) -> None:
    how = TimeColumn.model_validate({"column": "at", "epoch": "d", "origin": dt.date(1899, 12, 30)})
    assert abs(int(cleaning.times(array, how).values[0]) - micros(2026, 3, 4, 14, 5)) < 1_000


numbers = st.one_of(
    st.integers(-(10**18), 10**18),
    st.integers(10**9, 10**10 - 1),
    st.integers(10**12, 10**13 - 1),
    st.integers(19_000_101, 21_001_231),
    st.integers(10**9, 2 * 10**9).map(lambda n: n + 0.25),
    st.floats(allow_nan=False, allow_infinity=False),
)


@given(numbers, st.sampled_from([PLAIN, LIMA, TimeColumn(column="at", epoch="s"), TimeColumn(column="at", epoch="d")]))
def test_a_number_is_the_same_time_typed_and_in_text(number: float, how: TimeColumn) -> None:
    typed, text = cleaning.times(pa.array([number]), how), cleaning.times(pa.array([str(number)]), how)
    if how.epoch is None and isinstance(number, float) and not number.is_integer() and "e" in str(number):
        return  # nobody writes times with exponents
    assert typed.ok[0] == text.ok[0]
    assert typed.values[0] == text.values[0]


FORMS = [
    *("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y/%m/%d %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%Y%m%d%H%M%S"),
    *("%d %b %Y %H:%M:%S", "%B %d, %Y %I:%M:%S %p", "%a, %d %b %Y %H:%M:%S", "%d-%b-%Y %H:%M:%S", "%Y-%jT%H:%M:%S"),
    *("%G-W%V-%uT%H:%M:%S", "%a %b %d %H:%M:%S %Y", "%Y.%m.%d %H:%M:%S"),
]
moments = st.integers(micros(1990, 1, 1), micros(2060, 1, 1))
zones = st.sampled_from([("", 0), ("Z", 0), ("-05:00", -300), ("+0530", 330), (" UTC", 0), (" -03", -180)])


@given(st.lists(st.tuples(moments, st.sampled_from(FORMS), zones), min_size=1, max_size=20))
def test_what_is_written_is_read_in_any_company(rows: list[tuple[int, str, tuple[str, int]]]) -> None:
    texts, expected = [], []
    for moment, form, (zone, minutes) in rows:
        at = moment if "%f" in form else moment - moment % 1_000_000
        written = (EPOCH + dt.timedelta(microseconds=at)).strftime(form)
        zoned = not form.endswith(("%Y", "%p"))
        texts.append(written + (zone if zoned else ""))
        expected.append(at - (minutes * 60_000_000 if zoned else 0))
    parsed = cleaning.times(pa.array(texts), PLAIN)
    assert parsed.ok.all(), texts
    assert parsed.values.tolist() == expected


@given(st.lists(st.one_of(st.none(), st.text(max_size=12), st.text(alphabet="0123456789-/.: TZ+amp", max_size=24))))
def test_no_text_stops_reading_nor_changes_its_neighbours(texts: list[str | None]) -> None:
    parsed = cleaning.times(pa.array(texts, pa.string()), LIMA)
    assert not (parsed.ok & parsed.missing).any()
    for i, text in enumerate(texts):
        alone = cleaning.times(pa.array([text], pa.string()), LIMA)
        assert (alone.ok[0], alone.missing[0], alone.values[0]) == (parsed.ok[i], parsed.missing[i], parsed.values[i])


@given(
    st.lists(st.integers(-2_000_000_000, 4_000_000_000), min_size=1, max_size=20), st.sampled_from(["ms", "us", "ns"])
)
def test_typed_timestamps_and_their_text_agree(seconds: list[int], unit: Any) -> None:
    typed = pa.array(np.array(seconds, dtype="datetime64[s]")).cast(pa.timestamp(unit))
    text = pa.array([str(pd.Timestamp(s, unit="s")) for s in seconds])
    for how in (PLAIN, LIMA, MADRID):
        assert cleaning.times(typed, how).values.tolist() == cleaning.times(text, how).values.tolist()


def test_seconds_since() -> None:
    assert cleaning.seconds_since(np.array([5_500_000]), np.array([1_000_000])).tolist() == [4.5]


def test_a_time_given_by_a_person() -> None:
    assert cleaning.parse_time("2024-03-01", option="--since") == micros(2024, 3, 1)
    for text in ("yesterday", "03/04/2026"):
        with pytest.raises(InputError, match=f"--since '{text}' is not a time"):
            cleaning.parse_time(text, option="--since")

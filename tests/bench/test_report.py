"""Figures, whether they hold, and how they are shown."""

import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from bench.report import Figure, Section, machine, number, show


@pytest.mark.parametrize(
    ("value", "at_least", "at_most", "holds"),
    [
        (1.0, None, None, None),
        (2.0, 2.0, None, True),
        (1.9, 2.0, None, False),
        (2.0, None, 2.0, True),
        (2.1, None, 2.0, False),
        (np.float64(2.0), None, 2.0, True),
        (math.nan, 2.0, None, False),
        (math.nan, None, 2.0, False),
    ],
)
def test_a_target_holds_or_does_not(
    value: float, at_least: float | None, at_most: float | None, holds: bool | None
) -> None:
    assert Figure("f", value, at_least=at_least, at_most=at_most).holds is holds


def test_the_median_of_runs_is_what_counts() -> None:
    figure = Figure.median("f", [9.0, 1.0, 2.0], "s", at_most=3)
    assert (figure.value, figure.runs, figure.holds) == (2.0, (9.0, 1.0, 2.0), True)


def test_a_section_for_people_and_for_machines() -> None:
    missed = Figure.median("throughput", [10.0, 12.0, 11.0], "requests/s", at_least=1234, note="by the clock")
    section = Section("service", "scoring", [missed, Figure("memory", 0.5, "GiB")], {"rounds": 3})
    text = io.StringIO()
    show(Console(file=text, width=160), section)
    printed = text.getvalue()
    for part in ("service: scoring", "≥ 1,234", "11 requests/s", "10 – 12", "NO", "by the clock", "0.5 GiB"):
        assert part in printed
    assert not section.holds
    read = json.loads(json.dumps(section.as_dict()))
    assert [f["holds"] for f in read["figures"]] == [False, None]
    assert read["figures"][0]["runs"] == [10.0, 12.0, 11.0]
    assert read["details"] == {"rounds": 3}


@pytest.mark.parametrize(("value", "shown"), [(83_828.4, "83,828"), (0.26412, "0.2641"), (6.8, "6.8"), (0, "0")])
def test_numbers_are_short(value: float, shown: str) -> None:
    assert number(value) == shown


def test_the_machine_is_named() -> None:
    about = machine()
    assert about["cores"] >= 1
    assert about["memory_gib"] > 0
    assert about["cpu"]

"""Whatever stands in a row, exactly one thing becomes of it; and nothing switches the contract off."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from etl.contract.checked import Window
from etl.contract.layout import fit
from etl.contract.parsing import Values
from etl.contract.reasons import Reason
from etl.sources import BrokenLine, Chunk
from graph.records import transaction_columns
from tests.etl.checking import FULL, NOW, POLICIES, RATES, REFUNDS, Row, chunk, contract, mapping
from tests.etl.shop import DAY_1, GOOD

ROOT = Path(__file__).resolve().parents[2]
ANYTHING = st.one_of(
    st.sampled_from(
        ["", "null", "1", "0", "-1", "S/ 1,234.50", "1.234,50", "USD", "PEN 3", "NaN", "1e300", "x" * 1025]
    ),
    st.sampled_from(["2024-03-01", "2024-03-01T10:00:00Z", "1980-01-01", "2031-01-01", "03/04/2024 10:00", "soon"]),
    st.sampled_from(["10.0.0.1", "::1", "00000000-0000-0000-0000-000000000000", "\u200babc", "AA:BB", "|", "\\"]),
    st.text(max_size=8),
)
COLUMNS = ("id", "at", "user", "amount", "device", "ip", "city", "cur", "seen", "age", "fraud", "known")
USUAL = dict(zip(COLUMNS, ("1", "2024-03-01", "u", "5", "d", "8.8.8.8", "Lima", "PEN", "", "3", "1", ""), strict=True))


@st.composite
def any_row(draw: st.DrawFn) -> Row:
    damaged = draw(st.lists(st.sampled_from(COLUMNS), max_size=4))
    return USUAL | {column: draw(ANYTHING) for column in damaged}


def broken_lines(count: int) -> list[BrokenLine]:
    return [BrokenLine(100 + number, "a,b") for number in range(count)]


@given(
    rows=st.lists(any_row(), max_size=10),
    broken=st.integers(0, 3),
    since=st.sampled_from([None, DAY_1]),
    refunds=st.booleans(),
    policy=st.sampled_from([{}, POLICIES | {"V*": "leave"}]),
    rates=st.booleans(),
)
@hypothesis_settings(max_examples=40, deadline=None)
def test_every_row_is_accepted_refused_or_outside(
    rows: list[Row],
    broken: int,
    since: int | None,
    refunds: bool,
    policy: Row,
    rates: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "rates.csv").write_text(RATES)
    how = mapping(
        FULL | {"numeric": ["age", "V*"]} | (REFUNDS if refunds else {}),
        folder=folder,
        missing=policy,
        label={"is_fraud": "fraud", "known_at": "known"},
        **({"currencies": {"base": "PEN", "rates": "rates.csv"}} if rates else {}),
    )
    columns = [*COLUMNS, "V1", "V2"]
    part = chunk([{**dict.fromkeys(columns, ""), **row} for row in rows] or [dict.fromkeys(columns, "")])
    part = Chunk(part.file, part.table.slice(0, len(rows)), part.numbers[: len(rows)], broken_lines(broken))
    checks = contract(how, columns, Window(since))
    checked = checks.check(part)

    outcomes = Counter(checked.positions.tolist())
    outcomes.update(checked.refusals.positions().tolist())
    outcomes.update(np.flatnonzero(checked.refusals.outside).tolist())
    assert outcomes == dict.fromkeys(range(len(rows)), 1)
    told = list(checked.refusals.rows())
    assert len(told) == len(checked.refusals.positions()) + broken == checked.refusals.reasons().total()
    assert {row.reason for row in told} <= {reason.value for reason in Reason}
    assert part.rows == len(checked.positions) + len(told) + int(checked.refusals.outside.sum())
    checked.table.validate(full=True)
    assert checked.table.schema.equals(transaction_columns(fit(how, columns, "tx.csv").schema))
    assert all(checked.table.column(field.name).null_count == 0 for field in checked.table.schema if not field.nullable)
    assert all(amount >= 0 for amount in checked.table.column("amount").to_pylist())
    assert all(len(hit) == checked.table.num_rows for hit in checked.imputable.values())
    # No row depends on its neighbours: alone it ends in the same way.
    for position, row in enumerate(rows[:3]):
        alone = checks.check(chunk([{**dict.fromkeys(columns, ""), **row}]))
        assert alone.positions.tolist() == ([0] if position in checked.positions else [])


def test_the_environment_cannot_switch_the_contract_off() -> None:
    code = (
        "from tests.etl.checking import check, mapping, refused; from tests.etl.shop import GOOD; "
        "print(refused(check(mapping(), {**GOOD, 'amount': '-1'})))"
    )
    switches = {"PANDERA_VALIDATION_ENABLED": "False", "PANDERA_VALIDATION_DEPTH": "SCHEMA_ONLY"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env={**os.environ, **switches, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[(1, 'negative_amount', 'amount', '-1')]"


@pytest.mark.parametrize(
    "wrong", [{"amount": np.array(["1", "2"], dtype=object)}, {"occurred_at": np.array([1.5, 2.5])}]
)
def test_values_that_are_not_those_of_the_contract_are_a_fault_of_quipu(wrong: Row) -> None:
    from etl.contract.schema import failures, transaction_schema

    how = mapping()
    schema = transaction_schema(how, fit(how, list(GOOD), "tx.csv"), NOW)
    values = Values(chunk([GOOD, GOOD]).table)
    contract(how, list(GOOD))._facts(values, values.time("occurred_at", how.transaction.occurred_at))
    assert list(failures(schema, values.checked, 2)) == []
    with pytest.raises(TypeError, match="not those of the contract transaction"):
        list(failures(schema, values.checked | wrong, 2))


def test_pandera_is_loaded_only_when_rows_are_checked() -> None:
    code = "import sys, etl.contract.transactions, etl.contract.related; print('pandera' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

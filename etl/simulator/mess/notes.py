"""The account of a mess: one line a damage."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from etl.contract.reasons import Reason
from etl.simulator.mess.kinds import Fate
from etl.simulator.mess.spelling import Ints, Texts

DAMAGE = pa.schema(
    [
        pa.field("transaction_id", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("column", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("expected", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("original", pa.string()),
        pa.field("damaged", pa.string()),
    ]
)
"""One damage: the clean transaction's id; the row (from 0) in the messy file; the column, empty where it is the whole
row; the kind of damage; a `Fate`, and the `Reason` of a quarantined row; the value before and after, null where there
is none. Two damages of one row have two lines; where one of them puts the row in quarantine, both say so.
"""


@dataclass
class Notes:
    """The damage so far, column by column; rows by number before they were put in order."""

    parts: list[pa.Table] = field(default_factory=list)

    def add(
        self, *, ids: Sequence[str], rows: Ints, column: str, kind: str, fate: Fate | Sequence[str],
        reason: Reason | Sequence[str | None] | None, original: Texts, damaged: Texts,
    ) -> None:  # fmt: skip
        count = len(rows)
        fates = [fate.value] * count if isinstance(fate, Fate) else list(fate)
        reasons = [reason] * count if reason is None or isinstance(reason, Reason) else list(reason)
        columns = [
            pa.array(ids, pa.string()), pa.array(rows), pa.array([column] * count, pa.string()),
            pa.array([kind] * count, pa.string()), pa.array(fates, pa.string()), pa.array(reasons, pa.string()),
            pa.array(original, pa.string()), pa.array(damaged, pa.string()),
        ]  # fmt: skip
        self.parts.append(pa.table(columns, schema=DAMAGE))

    def table(self, position: Ints) -> pa.Table:
        """In order of the rows' positions."""
        told = pa.concat_tables([DAMAGE.empty_table(), *self.parts])
        place = DAMAGE.get_field_index("row")
        return told.set_column(place, DAMAGE.field(place), pa.array(position[told["row"].to_numpy()])).sort_by("row")

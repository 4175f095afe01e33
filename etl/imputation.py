"""Missing values filled in from earlier transactions, as a mapping's `missing` asks."""

from collections import Counter

from etl.contract import CheckedRows
from etl.mapping import Mapping
from graph.store import Store


class Imputer:
    def __init__(self, mapping: Mapping, store: Store) -> None:
        self.mapping, self.store = mapping, store

    def observe(self, checked: CheckedRows) -> None:
        pass

    def resolve(self) -> Counter[str]:
        return Counter()

    def fill(self, checked: CheckedRows) -> tuple[CheckedRows, Counter[str]]:
        return checked, Counter()

"""Exchange rates by day."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.cleaning.columns import nulls
from etl.mapping import Mapping


@dataclass(frozen=True, slots=True)
class Rates:
    """Units of one base currency for one unit of others, by day.

    Attributes:
        base: the ISO 4217 code of the base; None where nothing is to be converted.
        days, rates: by currency, days since 1970 (ascending) and the rate that holds from each on.
    """

    base: str | None
    days: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    rates: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def read(cls, mapping: Mapping) -> "Rates":
        """Reads the files that the mapping names; without `currencies` in it, nothing is converted."""
        return cls(mapping.currencies.base if mapping.currencies else None)

    def convert(
        self, hundredths: NDArray[np.int64], codes: pa.Array, occurred_us: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Amounts in the base currency.

        Args:
            hundredths: int64[n].
            codes: n ISO 4217 codes.
            occurred_us: int64[n], microseconds UTC; the latest rate dated at or before that day holds.

        Returns:
            The amounts (hundredths, halves to even; as they were where there is no rate), the rows that were
            converted, and those for which there is no rate, or no code.
        """
        n = len(hundredths)
        if self.base is None:
            return hundredths, np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        return hundredths, np.zeros(n, dtype=np.bool_), nulls(codes)

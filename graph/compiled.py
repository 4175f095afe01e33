"""How the hot functions are compiled."""

from collections.abc import Callable
from typing import Any

from numba import njit

kernel: Callable[[Callable[..., Any]], Any] = njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
"""Compiles a function that allocates nothing.

Without reference counting (`_nrt=False`): a state is some thirty arrays, and counting them at
each call of a small function costs six times the function itself. Scratch space is passed in.
"""

allocating: Callable[[Callable[..., Any]], Any] = njit(cache=True, nogil=True, error_model="numpy")
"""Compiles a function that makes arrays of its own."""

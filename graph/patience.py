"""How long a store goes on trying where it fails for a passing reason: by default for a while, or hardly at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_AT_ONCE = ContextVar("quipu_at_once", default=False)


@contextmanager
def at_once() -> Iterator[None]:
    """Within, and on this thread, a store that is away is not waited for: it fails at once."""
    token = _AT_ONCE.set(True)
    try:
        yield
    finally:
        _AT_ONCE.reset(token)


def is_at_once() -> bool:
    """Whether the caller would rather be told of a failure than wait."""
    return _AT_ONCE.get()

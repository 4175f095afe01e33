"""How long a batch waits for more transactions: most of its cost is the same for one and for many."""

from time import perf_counter

_LULL = 400e-6
_IDLE_TURNS = 10
"""A batch is no longer waited for when nobody has come for so many seconds, and so many turns: the loop may have been
busy all the time with reading those who come."""
_LONGEST_WAIT = 4e-3
"""Seconds that a batch is waited for at most."""
_COMPANY = 8
"""From so many on it is worth waiting even for those who are just about to be answered, and to come again: two halves
of a crowd that take turns cost more than the whole of it at once."""


class Crowd:
    """Expects as many transactions as were on their way at last: those who wait for answers tend to have more to ask.

    One who is alone never waits. All times are of this process's own clock; `worth_waiting` is asked once a turn of
    the event loop for as long as it says yes.

    Args:
        most: the largest batch, for which nobody waits any longer.

    Attributes:
        delivered: how many were answered so far.
    """

    def __init__(self, most: int) -> None:
        self.delivered = 0
        self._most = most
        self._expected = 1
        self._first_at = self._last_at = 0.0
        self._idle_turns = 0

    def came(self, *, first: bool) -> None:
        """Some have come; `first`: nobody waited before them."""
        self._last_at = perf_counter()
        self._idle_turns = 0
        if first:
            self._first_at = self._last_at

    def answered(self, batch: int, others: int = 0, *, begun: int | None = None) -> None:
        """A batch was answered.

        Args:
            batch: how many were in it. others: how many wait behind it or are on their way to the disk.
            begun: what `delivered` was when the batch was begun, by default now: whoever was answered since may be
                about to come again, though nobody waits.
        """
        back = 0 if begun is None else self.delivered - begun
        self._expected = batch + max(others, back)
        self.delivered += batch

    def worth_waiting(self, waiting: int, in_flight: int, *, soon: bool = False) -> bool:
        """Whether those who wait (one at least) should wait for more, while others are on their way to the disk.

        Args:
            soon: those others will be answered any moment.
        """
        together = soon and in_flight > 0 and self._expected >= _COMPANY
        if waiting >= min(self._expected - (0 if together else in_flight), self._most):
            return False
        self._idle_turns += 1
        now = perf_counter()
        if together:
            self._last_at = now  # nobody is late who has not been answered
        lull = self._idle_turns >= _IDLE_TURNS and now - self._last_at >= _LULL
        if not lull and now - self._first_at < _LONGEST_WAIT:
            return True
        self._expected = waiting + in_flight
        return False

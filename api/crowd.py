"""How long a batch waits for more transactions: most of its cost is the same for one and for many."""

from collections.abc import Collection, Hashable
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
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._expected = 1
        self._together, self._besides = 1, 0
        self._answered: Collection[Hashable] = ()
        self._first_at = self._last_at = 0.0
        self._idle_turns = 0

    def came(self, *, first: bool, client: Hashable = None) -> None:
        """One has come; `first`: nobody waited before; `client`: who that is, where it is known.

        A client that was not answered last comes besides those who were: the next batch may have them all.
        """
        self._last_at = perf_counter()
        self._idle_turns = 0
        if first:
            self._first_at = self._last_at
        if client is not None and client not in self._answered:
            self._besides += 1
            if self._together + self._besides >= _COMPANY:
                self._expected = max(self._expected, self._together + self._besides)

    def answered(self, together: int, clients: Collection[Hashable] = ()) -> None:
        """A batch of these clients was answered, with so many in it, waiting behind it and on their way to the disk."""
        self._expected = self._together = together
        self._answered, self._besides = clients, 0

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

"""How long a batch waits for its members."""

from api.crowd import Crowd


def turns(crowd: Crowd, waiting: int, in_flight: int = 0, most: int = 1_000_000) -> int:
    """How many turns in a row the crowd is worth waiting for."""
    for turn in range(most):
        if not crowd.worth_waiting(waiting, in_flight):
            return turn
    return most


def test_one_who_is_alone_never_waits() -> None:
    crowd = Crowd(64)
    for _ in range(3):
        crowd.came(first=True)
        assert not crowd.worth_waiting(1, 0)
        crowd.answered(1)


def test_as_many_as_were_answered_last_are_waited_for() -> None:
    crowd = Crowd(64)
    crowd.answered(16)
    crowd.came(first=True)
    assert crowd.worth_waiting(1, 0)
    crowd.came(first=False)
    assert crowd.worth_waiting(15, 0)
    assert not crowd.worth_waiting(16, 0)


def test_who_is_on_the_way_to_the_disk_is_not_waited_for() -> None:
    crowd = Crowd(64)
    crowd.answered(16)
    crowd.came(first=True)
    assert not crowd.worth_waiting(4, 12)


def test_those_who_are_answered_soon_are_waited_for_where_they_are_many() -> None:
    crowd = Crowd(64)
    crowd.answered(16)
    crowd.came(first=True)
    assert turns(crowd, waiting=8, in_flight=8) == 0
    assert crowd.worth_waiting(8, 8, soon=True)
    assert not crowd.worth_waiting(16, 0, soon=True)
    crowd.answered(4)
    crowd.came(first=True)
    assert not crowd.worth_waiting(2, 2, soon=True)


def test_who_is_answered_soon_is_waited_for_only_so_long() -> None:
    crowd = Crowd(64)
    crowd.answered(16)
    crowd.came(first=True)
    waited = 0
    while crowd.worth_waiting(8, 8, soon=True):
        waited += 1
        assert waited < 1_000_000
    assert waited > 0


def test_nobody_waits_for_more_than_a_batch_holds() -> None:
    crowd = Crowd(8)
    crowd.answered(1_000)
    crowd.came(first=True)
    assert not crowd.worth_waiting(8, 0)


def test_waiting_ends_when_the_others_stay_away_and_they_are_not_expected_again() -> None:
    crowd = Crowd(64)
    crowd.answered(16)
    crowd.came(first=True)
    assert 0 < turns(crowd, waiting=3) < 1_000_000
    crowd.came(first=True)
    assert not crowd.worth_waiting(3, 0)


def test_halves_that_take_turns_become_one_again() -> None:
    crowd = Crowd(64)
    crowd.answered(8, set(range(8)))
    for other in range(8, 16):
        crowd.came(first=other == 8, client=other)
    assert crowd.worth_waiting(8, 0), "those who were answered are about to come again"
    for client in range(8):
        crowd.came(first=False, client=client)
    assert not crowd.worth_waiting(16, 0)


def test_those_who_come_again_are_not_expected_twice() -> None:
    crowd = Crowd(64)
    crowd.answered(16, set(range(16)))
    for client in range(16):
        crowd.came(first=client == 0, client=client)
    assert not crowd.worth_waiting(16, 0)


def test_a_few_who_come_now_and_then_do_not_wait_for_each_other() -> None:
    crowd = Crowd(64)
    for client in range(20):
        crowd.came(first=True, client=client)
        assert not crowd.worth_waiting(1, 0)
        crowd.answered(1, {client})

"""Who was in which ring as of a moment: against a plain recount, in any order and in any pieces."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from graph.ring_log import RingHistory, RingNews, RingTouch, no_rings, touched
from graph.ring_records import Membership, RingMark, RingStatus

CONFIRMED, DISMISSED, NEW = RingStatus.CONFIRMED, RingStatus.DISMISSED, RingStatus.NEW
ENTITIES = {("user", "u1"): 0, ("user", "u2"): 1, ("user", "u3"): 2, ("device", "d1"): 3, ("device", "d2"): 4}
RINGS = ("a", "b", "c")


@dataclass(frozen=True)
class Said:
    """A refresh (rings with members, score, whether they returned) or a verdict, at a time."""

    at: int
    rings: dict[str, tuple[frozenset[int], float, bool]] | None = None
    verdict: tuple[str, RingStatus] | None = None


members = st.frozensets(st.integers(0, len(ENTITIES) - 1), min_size=1, max_size=4)
scores = st.sampled_from([0.25, 0.5, 0.75])
found = st.dictionaries(st.sampled_from(RINGS), st.tuples(members, scores, st.booleans()), max_size=3)
refreshes = st.lists(st.tuples(st.integers(1, 50), found), max_size=6, unique_by=lambda r: r[0])
verdicts = st.lists(
    st.tuples(st.integers(1, 50), st.sampled_from(RINGS), st.sampled_from([CONFIRMED, DISMISSED])),
    max_size=5,
    unique_by=lambda v: v[0],
)


def told(refreshed: list[tuple[int, dict]], judged: list[tuple[int, str, RingStatus]]) -> list[Said]:
    """Refreshes in order of time, verdicts between them in whatever order they come."""
    said = [Said(at, rings=rings) for at, rings in sorted(refreshed, key=lambda r: r[0])]
    for place, (at, ring, verdict) in enumerate(judged):
        said.insert((at * 7 + place) % (len(said) + 1), Said(at, verdict=(ring, verdict)))
    return said


def news(said: list[Said]) -> RingNews:
    """What a store's feeds would say."""
    memberships: list[Membership] = []
    marks: list[RingMark] = []
    held: dict[str, frozenset[int]] = {}
    keys = {number: key for key, number in ENTITIES.items()}
    for one in said:
        if one.verdict is not None:
            marks.append(RingMark(len(marks) + 1, one.at, one.verdict[0], None, None, one.verdict[1]))
            continue
        now = {ring: who for ring, (who, _, _) in (one.rings or {}).items()}
        for ring in dict.fromkeys([*held, *now]):
            for number in sorted(held.get(ring, frozenset()) ^ now.get(ring, frozenset())):
                joined = number in now.get(ring, ())
                memberships.append(Membership(len(memberships) + 1, one.at, ring, *keys[number], joined))
        for ring, (who, score, returned) in (one.rings or {}).items():
            marks.append(RingMark(len(marks) + 1, one.at, ring, score, len(who), NEW if returned else None))
        held = now
    return RingNews(len(memberships) + len(marks), memberships, marks)


def numbers(entity: str, keys: list[str]) -> dict[str, int]:
    return {key: ENTITIES[entity, key] for key in keys if (entity, key) in ENTITIES}


def answers(said: list[Said], t: int) -> list[RingTouch | None]:
    """For each entity alone, and for all together."""
    history = RingHistory()
    history.take(news(said), numbers)
    log = history.log()
    return [touched(log, history.names, ids, t) for ids in ([0], [1], [2], [3], [4], [0, 3], [1, -1, 4], [99])]


def recounted(said: list[Said], entity: int, t: int) -> set[tuple[object, ...]]:
    """All rings that an entity was in before t: id, score, members, confirmed, since."""
    past = sorted((one for one in said if one.at < t and one.rings is not None), key=lambda one: one.at)
    if not past:
        return set()
    result = set()
    for ring, (who, score, _) in (past[-1].rings or {}).items():
        if entity not in who:
            continue
        since = past[-1].at
        for one in reversed(past):
            if entity not in (one.rings or {}).get(ring, (frozenset(),))[0]:
                break
            since = one.at
        status = None
        for one in sorted((one for one in said if one.at < t), key=lambda one: one.at):
            if one.verdict is not None and one.verdict[0] == ring:
                status = one.verdict[1]
            elif one.rings and one.rings.get(ring, (None, None, False))[2] and status is DISMISSED:
                status = None
        if status is not DISMISSED:
            result.add((ring, score, len(who), status is CONFIRMED, since))
    return result


@given(refreshes, verdicts, st.integers(1, 55))
def test_a_ring_is_told_as_a_recount_tells_it(refreshed, judged, t) -> None:
    said = told(refreshed, judged)
    for entity, touch in enumerate(answers(said, t)[: len(ENTITIES)]):
        expected = recounted(said, entity, t)
        if touch is None:
            assert expected == set()
            continue
        assert touch.through == (0,)
        mine = (touch.ring_id, touch.score, touch.members, touch.confirmed, touch.since)
        assert mine in expected
        rank = [(confirmed, score, members) for _, score, members, confirmed, _ in expected]
        assert (touch.confirmed, touch.score, touch.members) == max(rank)


@given(refreshes, verdicts, refreshes, verdicts, st.integers(1, 50))
def test_what_is_said_at_or_after_a_moment_does_not_change_what_was_so_before(
    refreshed, judged, more, more_judged, t
) -> None:
    before = told([r for r in refreshed if r[0] < t], [v for v in judged if v[0] < t])
    after = [(at + t, rings) for at, rings in more]
    after[:1] = [(t, rings) for _, rings in after[:1]]
    later = told(after, [(at - 1 + t, ring, verdict) for at, ring, verdict in more_judged])
    assert answers(before, t) == answers(before + later, t)


@given(refreshes, verdicts, st.integers(0, 60), st.integers(0, 60))
def test_the_feed_may_be_read_in_pieces_and_again(refreshed, judged, first, second) -> None:
    whole = news(told(refreshed, judged))
    at_once, in_pieces = RingHistory(), RingHistory()
    at_once.take(whole, numbers)
    for a, b in ((first, second), (second, first), (99, 99)):
        in_pieces.take(RingNews(whole.watermark, whole.memberships[:a], whole.marks[:b]), numbers)
    assert in_pieces.seen == at_once.seen
    for t in range(1, 55, 3):
        for ids in ([0, 1, 2], [3], [4]):
            one, other = (touched(h.log(), h.names, ids, t) for h in (at_once, in_pieces))
            assert one == other


def test_the_ring_of_several_entities_is_the_most_telling_one() -> None:
    first = Said(10, rings={"a": (frozenset({0, 3}), 0.5, False), "b": (frozenset({1, 4, 3}), 0.75, False)})
    told_of = {t: answers([first], t) for t in (10, 11)}
    assert told_of[10] == [None] * 8
    assert told_of[11][0] == RingTouch("a", 0.5, 2, False, (0,), 10)
    assert told_of[11][3] == RingTouch("b", 0.75, 3, False, (0,), 10)
    assert told_of[11][5] == RingTouch("b", 0.75, 3, False, (1,), 10)  # the device is in both
    assert told_of[11][6] == RingTouch("b", 0.75, 3, False, (0, 2), 10)
    assert told_of[11][7] is None
    confirmed = [first, Said(12, verdict=("a", CONFIRMED))]
    assert answers(confirmed, 12)[5] == RingTouch("b", 0.75, 3, False, (1,), 10)
    assert answers(confirmed, 13)[5] == RingTouch("a", 0.5, 2, True, (0, 1), 10)


def test_nobody_is_in_a_ring_before_there_are_any() -> None:
    assert touched(no_rings(), [], [0, 1, -1], 5) is None
    history = RingHistory()
    history.take(RingNews(1, [], []), numbers)
    assert touched(history.log(), history.names, [0], 5) is None
    assert history.seen == (1, 0, 0)

"""Which ring a transaction touches: the most telling one, and what changes it."""

from pathlib import Path

from api.active_rings import ActiveRings
from graph.ring_records import Refresh, Ring, RingMember, RingStatus, Verdict
from graph.store import open_store, rings_of


def ring(ring_id: str, score: float, *members: tuple[str, str]) -> Ring:
    return Ring(
        ring_id, RingStatus.NEW, score, 1, 1, tuple(RingMember(*m, since=0, transactions=1) for m in members), (),
        transactions=1, amount=1, fraud_known=0, first_at=0, last_at=0,
    )  # fmt: skip


def test_what_a_transaction_touches(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    rings, kept = ActiveRings(), rings_of(store)
    assert rings.of({"user": "u1"}) is None
    a = ring("a", 0.9, ("user", "u1"), ("ip", "i1"), ("restaurant", "r1"))
    b = ring("b", 0.5, ("user", "u2"), ("device", "d2"), ("ip", "i1"), ("ip", "i2"))
    kept.write_refresh(Refresh(1, (a, b)))
    assert rings.of({"user": "u1"}) is None  # not looked at yet
    rings.refresh(store)
    told = {"ring_id": "a", "status": "new", "score": 0.9, "members": 3}
    assert rings.of({"user": "u1", "device": "d9"}) == {**told, "through": ["user"]}
    assert rings.of({"user": "u9", "ip": "i1"}) == {**told, "through": ["ip"]}  # the more suspicious one
    most = rings.of({"user": "u1", "device": "d2", "ip": "i2"})
    assert most == {"ring_id": "b", "status": "new", "score": 0.5, "members": 4, "through": ["device", "ip"]}
    assert rings.of({"user": "u9", "restaurant": "r1"}) is None  # a restaurant has other guests
    assert rings.of({"device": "u1"}) is None

    kept.write_verdict(Verdict("b", 2, RingStatus.CONFIRMED))
    kept.write_verdict(Verdict("a", 2, RingStatus.DISMISSED))
    rings.refresh(store)
    assert rings.of({"user": "u1"}) is None
    found = rings.of({"ip": "i1"})
    assert found is not None
    assert (found["ring_id"], found["status"]) == ("b", "confirmed")

    kept.write_refresh(Refresh(3, ()))
    rings.refresh(store)
    assert rings.of({"user": "u2"}) is None
    store.close()

"""Rings: how many of a simulated world's are found and how truly, how steady their ids are, and how long it takes.

A true ring counts at a refresh when three of its members or more committed fraud within the time that discovery looks
back to; these are its members then. It is found when at least half of them are in one found ring and make up at least
half of it. A ring that was blocked may come back with nothing of what it had, and a take-over may use a device for
each victim: what such parts of a ring share with each other is nothing that anybody could see. So the same is told
twice more. By life: the lives of a ring, from one block to the next, are rings of their own where they share neither
a member nor a device nor an address that few have. And for tied rings: members of one ring who are tied by devices, by
such addresses, or by the restaurant that charged the cards, in the days whose links discovery uses. How tied rings
themselves, as if found, compare with whole rings says what can be reached by links at all.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import networkx as nx  # type: ignore[import-untyped]
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.report import Figure, Section
from bench.setup import Workspace
from graph.records import DAY, USER
from graph.ring_records import Ring
from graph.rings import Evidence, RingSettings, find, identify
from graph.store import open_store

SEEDS = (421, 422, 423)
"""Other worlds than those that discovery was made on."""
SCORED_DAYS = 45
"""Days at the end of a world whose transactions are scored, by a model of what was known before them."""
REFRESHES = (0, 7, 14)
"""Days before the end at which found rings are judged."""
DAILY = 30
"""Days over which ids are followed."""
_LEAST = 3
_RARE = 15
"""Users from which on an address ties nobody."""
_COLLUSIVE, _SLOW, _DEVICES, _TAKEOVER = "collusive_restaurant", "two_hop_ring", "device_ring", "account_takeover"

Users = frozenset[str]


@dataclass(frozen=True, slots=True)
class Truth:
    """Rings as of a refresh, by name: their members, and the typologies.

    Attributes:
        rings: members of each true ring of three or more; lives: of each ring by life; tied: of each tied one.
        coming: of each ring of three or more, those who did something of late and commit fraud now or later.
        everyone: members of all rings, small ones too.
        typology: of each ring, whole, by life, or tied.
        linked: rings of which three members or more, and half or more, are tied to each other by devices.
    """

    rings: dict[str, Users]
    lives: dict[str, Users]
    tied: dict[str, Users]
    coming: dict[str, Users]
    everyone: dict[str, Users]
    typology: dict[str, str]
    linked: frozenset[str]


@dataclass(slots=True)
class Tally:
    """Counts over refreshes: of true rings by typology (found, all), and of found rings."""

    recall: defaultdict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    precision: list[bool] = field(default_factory=list)

    def add(self, true: Mapping[str, Users], found: Sequence[Users], typology: Mapping[str, str]) -> None:
        """Counts one refresh."""
        pairs = matches(true, found)
        there = {name for names in pairs.values() for name in names}
        for name in true:
            self.recall[typology[name]].append(name in there)
        self.precision += [number in pairs for number in range(len(found))]

    def share(self, *typologies: str) -> float:
        """Found among true rings, of these typologies or of all; not a number where there are none."""
        return _mean(hit for name in typologies or self.recall for hit in self.recall.get(name, ()))

    def precise(self) -> float:
        """True among found rings."""
        return _mean(self.precision)


@dataclass(slots=True)
class Outcome:
    """What was measured of one world: whole rings, rings by life, tied ones, linked ones, tied ones as if found; found
    rings that match one whose fraud may be still to come, and those half of whose users or more belong to one ring; and
    the share of ids kept."""

    whole: Tally = field(default_factory=Tally)
    lives: Tally = field(default_factory=Tally)
    tied: Tally = field(default_factory=Tally)
    linked: Tally = field(default_factory=Tally)
    reachable: Tally = field(default_factory=Tally)
    early: list[bool] = field(default_factory=list)
    pure: list[bool] = field(default_factory=list)
    kept: float = 1.0


def run(work: Workspace, seeds: Sequence[int] = SEEDS) -> Section:
    """Makes, loads and scores a world for each seed, looks for rings, and times that on all of the Handbook."""
    outcomes = [_world(work, seed) for seed in seeds]
    folder = work.emptied("rings-handbook")
    url = work.copy_of_store(folder)
    large = work.quipu("rings", "find", "--store", url, "--json")

    def median(name: str, values: Iterable[float], least: float | None = None, note: str = "") -> Figure:
        return Figure.median(name, list(values), at_least=least, note=note)

    figures = [
        median("recall, all typologies", (o.whole.share() for o in outcomes), 0.7),
        median("recall, device rings whose members are tied", (o.linked.share(_DEVICES) for o in outcomes), 0.9),
        median("recall, take-overs that are tied", (o.linked.share(_TAKEOVER) for o in outcomes), 0.9),
        median("recall, slow rings linked at two hops", (o.whole.share(_SLOW) for o in outcomes), 0.25),
        median("precision", (o.whole.precise() for o in outcomes), 0.85, "found rings that match a whole ring"),
        median(
            "precision, fraud to come included",
            (_mean(o.early) for o in outcomes),
            note="found rings that match a whole ring, by fraud up to then or later",
        ),
        median("recall by life, all typologies", (o.lives.share() for o in outcomes)),
        median("recall by life, slow rings", (o.lives.share(_SLOW) for o in outcomes)),
        median("precision by life", (o.lives.precise() for o in outcomes), note="found rings that match a life's ring"),
        median("recall within reach", (o.reachable.share() for o in outcomes), note="had all tied rings been found"),
        median("recall within reach, slow rings", (o.reachable.share(_SLOW) for o in outcomes)),
        median("precision within reach", (o.reachable.precise() for o in outcomes), note="and nothing else"),
        median("recall of tied rings", (o.tied.share() for o in outcomes)),
        median("precision, tied rings", (o.tied.precise() for o in outcomes), note="found rings that match a tied one"),
        median(
            "mostly of one ring", (_mean(o.pure) for o in outcomes), note="found rings, half of their users or more"
        ),
        *(
            median(f"recall of tied rings, {name}", (o.tied.share(name) for o in outcomes))
            for name in sorted({name for o in outcomes for name in o.tied.recall})
        ),
        median(f"ids kept over {DAILY} daily refreshes", (o.kept for o in outcomes), 0.95),
        Figure(
            "looking for rings in the Handbook",
            large.seconds,
            "s",
            at_most=60,
            note=f"{large.result['transactions']:,} transactions, from start to end of the program",
        ),
        Figure("peak memory of that", large.peak_bytes / 2**30, "GiB"),
    ]
    whole = {str(seed): _by_typology(o.whole) for seed, o in zip(seeds, outcomes, strict=True)}
    title = f"simulated worlds of the seeds {', '.join(map(str, seeds))}, at {len(REFRESHES)} refreshes each"
    by_life = {str(seed): _by_typology(o.lives) for seed, o in zip(seeds, outcomes, strict=True)}
    return Section("rings", title, figures, {"recall of whole rings": whole, "recall by life": by_life})


def _world(work: Workspace, seed: int) -> Outcome:
    files, url, scored = prepared(work, seed)
    truth = rows_of(files)
    scores = pq.read_table(scored, columns=["transaction_id", "probability", "band"])
    outcome = Outcome()
    store = open_store(url)
    try:
        latest = max(int(chunk.occurred_at.max()) for chunk in store.transaction_changes()) + 1
        for back in REFRESHES:
            with work.progress.stage(f"rings of the world of seed {seed}, {back} days before its end"):
                evidence = Evidence.read(store, latest - back * DAY, scores=scores)
                judge(outcome, [ring.users for ring in find(evidence)], truth_at(truth, evidence.at))
        with work.progress.stage(f"{DAILY} refreshes of the world of seed {seed}"):
            times = [latest - back * DAY for back in range(DAILY - 1, -1, -1)]
            outcome.kept = ids_kept(Evidence.read(store, at, scores=scores) for at in times)
    finally:
        store.close()
    return outcome


def prepared(work: Workspace, seed: int) -> tuple[Path, str, Path]:
    """A world's files, the URL of its store, and the scores of its last days; made once."""
    folder = work.path("rings")
    folder.mkdir(exist_ok=True)
    files, scored = folder / f"{seed}", folder / f"{seed}.scores.parquet"
    url = f"sqlite:///{folder}/{seed}.db"
    if not scored.exists():
        for old in folder.glob(f"{seed}.*"):
            old.unlink()
        made = work.quipu("simulate", str(files), "--seed", str(seed), "--json").result
        work.quipu("ingest", made["mapping"], "--store", url, "--json")
        store = open_store(url)
        try:
            latest = max(int(chunk.occurred_at.max()) for chunk in store.transaction_changes())
        finally:
            store.close()
        since = time.strftime("%Y-%m-%d", time.gmtime((latest // DAY - SCORED_DAYS + 1) * DAY // 1_000_000))
        work.quipu("backtest", "--train-until", since, "--store", url, "--out", str(scored), "--json")
    return files, url, scored


def rows_of(files: Path) -> pd.DataFrame:
    """A world's transactions with the truth; `at` is microseconds UTC."""
    keys = ["transaction_id", "occurred_at", "user_id", "device_id", "ip", "restaurant_id"]
    rows = pq.read_table(files / "transactions.parquet", columns=keys)
    when = rows["occurred_at"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    frame = rows.drop_columns(["occurred_at"]).append_column("at", when).to_pandas()
    told = pq.read_table(files / "truth" / "fraud.parquet").to_pandas()
    merged: pd.DataFrame = frame.merge(told, on="transaction_id")
    return merged


def truth_at(rows: pd.DataFrame, at: int) -> Truth:
    """Rings as of a refresh at microseconds `at`."""
    since, linked_since = (at - days * DAY for days in (RingSettings().lookback_days, RingSettings().linked_days))
    seen = rows[(rows["at"] < at) & (rows["at"] >= since)]
    before = rows[rows["is_fraud"] & (rows["at"] < at) & (rows["at"] >= linked_since)]
    history = dict(iter(before.groupby("ring_id")))
    crowd = seen.groupby("ip")["user_id"].nunique()
    busy = set(crowd[crowd >= _RARE].index)
    rings: dict[str, Users] = {}
    lives: dict[str, Users] = {}
    tied: dict[str, Users] = {}
    typology: dict[str, str] = {}
    linked = set()
    for ring, mine in seen[seen["is_fraud"]].groupby("ring_id"):
        name = str(ring)
        rings[name] = frozenset(mine["user_id"])
        kind = typology[name] = str(mine["typology"].iloc[0])
        largest = max(len(part) for part in ties(mine, ["device_id"], frozenset()))
        if largest >= _LEAST and 2 * largest >= len(rings[name]):
            linked.add(name)
        for number, part in enumerate(_lives(mine, busy)):
            lives[f"{name} life {number}"] = part
            typology[f"{name} life {number}"] = kind
        by = ["device_id", "ip", *(["restaurant_id"] if kind == _COLLUSIVE else [])]
        for number, part in enumerate(ties(history[ring], by, busy)):
            tied[f"{name} {number}"] = part & rings[name]
            typology[f"{name} {number}"] = kind
    there = set(seen["user_id"])
    fraud = rows[rows["is_fraud"] & (rows["at"] >= since) & rows["user_id"].isin(there)]
    coming = {str(ring): frozenset(users) for ring, users in fraud.groupby("ring_id")["user_id"]}
    large, apart, parts, to_come = (
        {name: users for name, users in each.items() if len(users) >= _LEAST} for each in (rings, lives, tied, coming)
    )
    return Truth(large, apart, parts, to_come, rings, typology, frozenset(linked))


def _lives(rows: pd.DataFrame, without: Iterable[str]) -> list[Users]:
    """Members of one ring's lives: those lives together that share a member, a device, or an address not `without`."""
    graph = nx.Graph()
    graph.add_nodes_from(rows["generation"])
    for column in ("user_id", "device_id", "ip"):
        shared = rows[rows[column].notna() & ~rows[column].isin(list(without))]
        keys = zip(shared["generation"], shared[column], strict=True)
        graph.add_edges_from((life, (column, key)) for life, key in keys)
    parts = [set(part) for part in nx.connected_components(graph)]
    return [frozenset(rows["user_id"][rows["generation"].isin(part)]) for part in parts]


def ties(rows: pd.DataFrame, by: Sequence[str], without: Iterable[str]) -> list[Users]:
    """Users of these rows who are tied by what they share in these columns, apart from some keys; all of them."""
    graph = nx.Graph()
    graph.add_nodes_from(rows["user_id"])
    for column in by:
        shared = rows[rows[column].notna() & ~rows[column].isin(list(without))]
        graph.add_edges_from((user, (column, key)) for user, key in zip(shared["user_id"], shared[column], strict=True))
    users = set(rows["user_id"])
    return [frozenset(part & users) for part in nx.connected_components(graph)]


def judge(outcome: Outcome, found: Sequence[Users], truth: Truth) -> None:
    """Adds what was found at one refresh."""
    tied = list(truth.tied.values())
    outcome.whole.add(truth.rings, found, truth.typology)
    outcome.lives.add(truth.lives, found, truth.typology)
    outcome.tied.add(truth.tied, found, truth.typology)
    outcome.reachable.add(truth.rings, tied, truth.typology)
    linked = {name: users for name, users in truth.rings.items() if name in truth.linked}
    outcome.linked.add(linked, found, truth.typology)
    true = matches(truth.rings, found).keys() | matches(truth.coming, found).keys()
    outcome.early += [number in true for number in range(len(found))]
    ring_of = {user: name for name, users in truth.everyone.items() for user in users}
    for users in found:
        each = Counter(ring_of[user] for user in users if user in ring_of)
        outcome.pure.append(2 * max(each.values(), default=0) >= len(users))


def matches(true: Mapping[str, Users], found: Sequence[Users]) -> dict[int, list[str]]:
    """Of found rings (by position) the true ring or two that each matches: half of either or more are in both."""
    rings_of: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(true):
        for user in true[name]:
            rings_of[user].append(name)
    pairs = {}
    for number, users in enumerate(found):
        common = Counter(name for user in users for name in rings_of.get(user, ()))
        names = [n for n, count in common.items() if 2 * count >= len(users) and 2 * count >= len(true[n])]
        if names:
            pairs[number] = sorted(names)
    return pairs


def ids_kept(refreshes: Iterable[Evidence]) -> float:
    """Of rings that go on from one refresh to the next, how many keep their id.

    A ring goes on in the one with most users in common, as long as these are half of all users of both.
    """
    rings: dict[str, Ring] = {}
    kept = lost = 0
    for evidence in refreshes:
        refresh = identify(find(evidence), list(rings.values()), evidence.at)
        now = {ring.ring_id: users_of(ring) for ring in refresh.rings}
        for ring_id, ring in rings.items():
            users = users_of(ring)
            if ring.active and (goes_on := _most_alike(users, now)) is not None:
                kept += goes_on == ring_id
                lost += goes_on != ring_id
        rings = {ring_id: replace(ring, active=ring_id in now) for ring_id, ring in rings.items()}
        rings.update((ring.ring_id, ring) for ring in refresh.rings)
    return kept / (kept + lost) if kept + lost else float("nan")


def users_of(ring: Ring) -> Users:
    """The keys of a ring's users."""
    return frozenset(member.key for member in ring.members if member.entity == USER)


def _most_alike(users: Users, rings: Mapping[str, Users]) -> str | None:
    alike = {name: len(users & others) / len(users | others) for name, others in rings.items()}
    best = max(alike, key=lambda name: (alike[name], name), default=None)
    return best if best is not None and alike[best] >= 0.5 else None


def _mean(hits: Iterable[bool]) -> float:
    each = list(hits)
    return sum(each) / len(each) if each else float("nan")


def _by_typology(tally: Tally) -> dict[str, dict[str, float]]:
    return {name: {"rings": len(hits), "recall": _mean(hits)} for name, hits in sorted(tally.recall.items())}

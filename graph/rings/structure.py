"""A ring's own subgraph: how densely it is linked, what holds it together, when and by whom it was active."""

import networkx as nx  # type: ignore[import-untyped]
import numpy as np

from graph.records import DAY
from graph.rings.evidence import Evidence
from graph.rings.found import Dealings

_YOUNG = 30 * DAY


def structure_of(evidence: Evidence, dealings: Dealings) -> tuple[dict[str, float], int | None]:
    """Figures by name, and the entity that holds most of it together (None where any one can go).

    Figures: users, entities, links; density (share of all possible links between users and entities); bridges
    (links without which it falls apart); joints (entities without which it does); cut_off (users that the most
    important joint alone keeps with the largest part); clustering (bipartite, 0..1); days (from the first to the
    last transaction); busiest_day (share of transactions in the busiest 24 hours); gap_hours (median between
    transactions); young (share of users first seen within 30 days before they joined, of those whose age is known);
    """
    users, ends = dealings.users.tolist(), dealings.ends.tolist()
    graph = nx.Graph()
    graph.add_edges_from(zip(users, ends, strict=True))
    mine, others = set(users), set(ends)
    holder, cut_off = _holder(graph, mine)
    joints = sum(1 for node in nx.articulation_points(graph) if node in others)
    when = np.sort(evidence.occurred_at[dealings.rows])
    busiest = np.searchsorted(when, when + DAY) - np.arange(len(when))
    young, together = _ages(evidence, dealings)
    clustering = nx.bipartite.robins_alexander_clustering(graph) if len(graph) < 400 else 0.0
    figures = {
        "users": float(len(mine)),
        "entities": float(len(others)),
        "links": float(graph.number_of_edges()),
        "density": graph.number_of_edges() / (len(mine) * len(others)),
        "bridges": float(sum(1 for _ in nx.bridges(graph))),
        "joints": float(joints),
        "cut_off": float(cut_off),
        "clustering": float(clustering),
        "days": float(when[-1] - when[0]) / DAY,
        "busiest_day": float(busiest.max() / len(when)),
        "gap_hours": float(np.median(np.diff(when))) / (DAY / 24) if len(when) > 1 else 0.0,
        "young": young,
        "opened_within_days": together,
    }
    return {name: round(value, 4) for name, value in figures.items()}, holder


def _holder(graph: nx.Graph, users: set[int]) -> tuple[int | None, int]:
    """The entity whose loss separates most users from the largest part that is left, and how many those are."""
    best: tuple[int, int] = (0, -1)
    joints = sorted(node for node in nx.articulation_points(graph) if node not in users)
    # Only those with many links can hold much: the rest need not be tried.
    for node in sorted(joints, key=lambda joint: -graph.degree(joint))[:20]:
        rest = nx.restricted_view(graph, [node], [])
        parts = [len(part & users) for part in nx.connected_components(rest)]
        best = max(best, (sum(parts) - max(parts, default=0), node))
    return (best[1], best[0]) if best[0] > 0 else (None, 0)


def _ages(evidence: Evidence, dealings: Dealings) -> tuple[float, float]:
    """Share of young users, and the days within which half of the users whose age is known were first seen."""
    if not len(evidence):
        return 0.0, 0.0
    users = np.unique(dealings.users)
    joined = np.full(len(users), np.iinfo(np.int64).max)
    np.minimum.at(joined, np.searchsorted(users, dealings.users), dealings.first_at)
    since = evidence.first_seen[users]
    known = since - int(evidence.occurred_at[0]) > _YOUNG
    if not known.any():
        return 0.0, 0.0
    opened = np.sort(since[known])
    half = (len(opened) + 1) // 2
    within = (opened[half - 1 :] - opened[: len(opened) - half + 1]).min()
    # Of users from the first days of the evidence nobody knows since when they are there: they count as old.
    return float((joined[known] - since[known] < _YOUNG).sum() / len(users)), float(within) / DAY

"""Pieces of rings that share nothing but their ways, brought together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import networkx as nx  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from graph.rings.likeness import LEARNED_FROM, Trait, likelihood_ratios
from graph.rings.pieces import Group

NARROW = 3
"""Users that an entity in a mere chain has at most."""
_TAUGHT_BY = 10
"""So many groups of `LEARNED_FROM` users or more tell how rings differ; fewer do not."""
_COMPARED = 1000
"""Pieces that are compared at most, those of most users first: the work grows with their square."""


def is_piece(group: Group) -> bool:
    """Whether there may be more to it: links between two or three users each, most of which no other link makes up for.

    What few share is how such a ring works, so what is missing won't be found by looking for more of the same.
    """
    users_of = Counter(end for _, end in group.links)
    if max(users_of.values()) > NARROW or (len(users_of) == 1 and len(group.members) > 2):
        return False
    graph = nx.Graph()
    graph.add_edges_from((("user", user), ("end", end)) for user, end in group.links)
    return 2 * sum(1 for _ in nx.bridges(graph)) >= len(group.links)


def brought_together(groups: Sequence[Group], traits: Sequence[Trait], times: float) -> list[Group]:
    """The groups, those pieces as one that one hand explains better than several; the likeliest pair first.

    Args:
        groups: any; only pieces (`is_piece`) are brought together.
        traits: of these groups, in the same order.
        times: how many times likelier what two of them did must be if one hand did it.
    """
    pieces = [number for number, group in enumerate(groups) if is_piece(group)]
    pieces = sorted(pieces, key=lambda number: (-len(groups[number].members), number))[:_COMPARED]
    if len(pieces) < 2 or sum(len(group.members) >= LEARNED_FROM for group in groups) < _TAUGHT_BY:
        return list(groups)
    told = _together([_only(trait, pieces) for trait in traits], len(pieces), float(np.log(times)))
    compared = set(pieces)
    result = [group for number, group in enumerate(groups) if number not in compared]
    for which, by in told:
        parts = [groups[pieces[number]] for number in which]
        result.append(parts[0] if len(parts) == 1 else _union(parts, by))
    return result


def _union(parts: Sequence[Group], by: tuple[str, ...]) -> Group:
    rows, users, ends = (np.concatenate([getattr(part, name) for part in parts]) for name in ("rows", "users", "ends"))
    return replace(parts[0], rows=rows, users=users, ends=ends, parts=len(parts), alike=by)


def _only(trait: Trait, pieces: Sequence[int]) -> tuple[Trait, NDArray[np.int64], NDArray[np.int64]]:
    """A trait of these pieces alone: it, their counts of values that two of them have, and all that each counts."""
    counts = trait.counts[np.array(pieces)].tocsc()
    common = np.flatnonzero(np.diff(counts.indptr) > 1)
    narrowed = replace(trait, counts=trait.counts[:0], usual=trait.usual[common])
    return narrowed, counts[:, common].toarray(), counts.sum(axis=1)


def _together(
    traits: Sequence[tuple[Trait, NDArray[np.int64], NDArray[np.int64]]], size: int, least: float
) -> list[tuple[list[int], tuple[str, ...]]]:
    """Pieces by hand, and in which traits each hand shows, the clearest first."""
    hands = [[number] for number in range(size)]
    shown: list[Counter[str]] = [Counter() for _ in range(size)]

    def alike(one: int, others: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64[traits, m]."""
        each = [
            likelihood_ratios(trait, counts[one], counts[others], totals[others], int(totals[one]))
            for trait, counts, totals in traits
        ]
        return np.stack(each)

    ratios = np.full((size, size), -np.inf)
    for one in range(size - 1):
        later = np.arange(one + 1, size)
        ratios[one, later] = alike(one, later).sum(axis=0)
    while True:
        one, other = (int(place) for place in np.unravel_index(ratios.argmax(), ratios.shape))
        if not ratios[one, other] > least:
            break
        for (trait, _, _), ratio in zip(traits, alike(one, np.array([other]))[:, 0].tolist(), strict=True):
            shown[one][trait.name] += ratio
        shown[one].update(shown[other])
        hands[one] += hands[other]
        hands[other] = []
        ratios[other] = ratios[:, other] = -np.inf
        for _, counts, totals in traits:
            counts[one] += counts[other]
            totals[one] += totals[other]
        left = np.array([number for number in range(size) if hands[number] and number != one], np.int64)
        again = alike(one, left).sum(axis=0)
        ratios[np.minimum(one, left), np.maximum(one, left)] = again
    return [
        (hand, tuple(name for name, ratio in by.most_common() if ratio > 0))
        for hand, by in zip(hands, shown, strict=True)
        if hand
    ]

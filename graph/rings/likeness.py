"""How alike groups of users are in what they do where they share nothing: at which places, when, on accounts how old.

A trait is a distribution over values: of restaurants, of payment methods, of days. One hand keeps to its ways, so what
two pieces of one ring do are draws from one distribution; what two rings do are draws from two. Each ring's
distribution is taken to be drawn from a Dirichlet around what is usual for risky transactions, and how far rings stray
from the usual (the concentration) is learned from all groups at hand, by maximum likelihood. A trait in which rings
don't differ so says nothing, without anybody having to choose traits or weights for a platform.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]
from scipy.sparse import csr_array  # type: ignore[import-untyped]
from scipy.special import gammaln  # type: ignore[import-untyped]

from graph.records import DAY
from graph.rings.evidence import Evidence
from graph.rings.pieces import Group
from graph.rings.settings import RingSettings

_SPAN = 10 * DAY
"""Times are alike within days, not within hours: a ring's accounts take turns."""
_AGES = np.array([0.01, 1, 3, 7, 14, 21, 30, 45, 60, 90]) * DAY
LEARNED_FROM = 3
"""Users from which on a group teaches how rings differ."""
_WEIGHT = 0.5
"""How often each value counts as seen beforehand."""


@dataclass(frozen=True)
class Trait:
    """One trait of g groups; v values that somebody has.

    Attributes:
        name: of an entity type or category, or `days`, `account age`, `opening`.
        counts: int64[g, v], sparse.
        usual: float64[v], the share of each value among risky transactions.
        concentration: how closely rings keep to the usual; small where each has a way of its own.
    """

    name: str
    counts: csr_array
    usual: NDArray[np.float64]
    concentration: float


def traits_of(
    evidence: Evidence, risk: NDArray[np.float64], groups: Sequence[Group], settings: RingSettings
) -> list[Trait]:
    """The traits of groups in the `settings.linked_days` before the evidence's end; those that nobody has left out."""
    recent = np.flatnonzero(evidence.occurred_at >= evidence.at - settings.linked_days * DAY)
    row, group = _rows(evidence, recent, groups)
    usual = recent[risk[recent] >= settings.risky]
    teach = np.array([len(each.members) >= LEARNED_FROM for each in groups], np.bool_)
    traits = [
        _trait(name, (values[row], group), values[usual], teach)
        for name, values in _values(evidence, recent, settings.hub_users)
    ]
    # An account is opened once, however much it is used.
    opened = evidence.first_seen // _SPAN
    users = [np.array(sorted(each.members), np.int64) for each in groups]
    owner = np.repeat(np.arange(len(groups)), [len(each) for each in users])
    mine = np.concatenate([*users, np.empty(0, np.int64)])
    others = np.unique(evidence.ids[usual, 0])
    traits.append(_trait("opening", (opened[mine], owner), opened[others], teach))
    return [trait for trait in traits if trait.counts.nnz]


def _rows(
    evidence: Evidence, recent: NDArray[np.int64], groups: Sequence[Group]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All that the groups' users did, also elsewhere: rows, and the group of each (a user may be in two)."""
    by_user = recent[np.argsort(evidence.ids[recent, 0], kind="stable")]
    users = evidence.ids[by_user, 0]
    rows, owners = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for number, group in enumerate(groups):
        members = np.array(sorted(group.members), users.dtype)
        begins, ends = np.searchsorted(users, members, "left"), np.searchsorted(users, members, "right")
        rows += [by_user[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        owners.append(np.full(int((ends - begins).sum()), number))
    return np.concatenate(rows), np.concatenate(owners)


def _values(evidence: Evidence, recent: NDArray[np.int64], crowd: int) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Traits by name, a value for each transaction (below 0 is none)."""
    for column, name in enumerate(evidence.schema.categories):
        yield name, evidence.categories[:, column].astype(np.int64)
    for column, name in enumerate(evidence.schema.entities[1:], 1):
        # What few others have links by itself, and who doesn't share it is none the less alike.
        entity = evidence.ids[:, column].astype(np.int64)
        there = recent[entity[recent] >= 0]
        pairs = np.unique((entity[there] << 32) | evidence.ids[there, 0])
        users = np.bincount(pairs >> 32, minlength=len(evidence.names.keys))
        yield name, np.where((entity >= 0) & (users[entity] >= crowd), entity, -1)
    yield "days", evidence.occurred_at // _SPAN
    yield "account age", np.digitize(evidence.occurred_at - evidence.first_seen[evidence.ids[:, 0]], _AGES)


def _trait(
    name: str,
    of_groups: tuple[NDArray[np.int64], NDArray[np.int64]],
    usual: NDArray[np.int64],
    teach: NDArray[np.bool_],
) -> Trait:
    values, owner = of_groups
    known = values >= 0
    values, owner, usual = values[known], owner[known], usual[usual >= 0]
    names, code = np.unique(np.concatenate([values, usual]), return_inverse=True)
    seen = np.bincount(code[len(values) :], minlength=len(names)).astype(np.float64) + _WEIGHT
    share = seen / seen.sum()
    counts = csr_array(
        (np.ones(len(values), np.int64), (owner, code[: len(values)])), shape=(len(teach), max(len(names), 1))
    )
    counts.sum_duplicates()
    return Trait(name, counts, share, _concentration(counts[np.flatnonzero(teach)], share))


def _concentration(counts: csr_array, usual: NDArray[np.float64]) -> float:
    """The concentration under which these groups' counts are likeliest."""
    totals, values, seen = counts.sum(axis=1), usual[counts.indices], counts.data

    def surprise(log: float) -> float:
        k = np.exp(log)
        told = gammaln(k * values + seen) - gammaln(k * values)
        return -float(told.sum() + (gammaln(k) - gammaln(k + totals)).sum())

    return float(np.exp(minimize_scalar(surprise, bounds=(-4, 9), method="bounded").x))


def likelihood_ratios(
    trait: Trait, one: NDArray[np.int64], others: NDArray[np.int64], totals: NDArray[np.int64], total: int
) -> NDArray[np.float64]:
    """float64[m]: by how much likelier `one` and each of the others are if drawn from one distribution, as logarithms.

    Args:
        trait: the trait.
        one: int64[v], counts; others: int64[m, v]. Values that only one side has may be left out.
        totals: int64[m], all that each of the others counts; total: the same of `one`.
    """
    k = trait.concentration
    shared = np.flatnonzero(one)
    prior, here, there = k * trait.usual[shared], one[shared], others[:, shared]
    # Of a value that only one side has, both explanations say the same.
    told = gammaln(prior + here + there) + gammaln(prior) - gammaln(prior + here) - gammaln(prior + there)
    result: NDArray[np.float64] = told.sum(axis=1) + (
        gammaln(k + total) + gammaln(k + totals) - gammaln(k + total + totals) - gammaln(k)
    )
    return result

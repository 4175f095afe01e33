"""What discovery goes by. The defaults were chosen on simulated worlds; `python -m bench rings` judges on others."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RingSettings:
    """How rings are looked for.

    Attributes:
        members: users that a ring has at least.
        lookback_days: only transactions of so many days before the refresh count.
        linked_days: days before the refresh whose links bring together what fell into pieces since. A ring that was
            blocked and came back may share only its oldest devices with what it was.
        chain: users that a ring has at least where single links hold it together, one after the other, and no entity
            has more than three users. Smaller chains are mostly pieces of something larger that can't be seen yet:
            leaving them out costs little recall and gains precision.
        alike: how many times likelier what two such pieces did must be if one hand did it than if two did, for them to
            be one ring although they share nothing.
        risky: risk from which on a transaction marks a time at which a hub is worth looking at.
        hub_users: users from which on an entity is a hub, unless at least `mostly` of them did something risky. A hub
            counts only within spells of risky transactions, and only for those whom nothing closer links to others
            elsewhere.
        mostly: see `hub_users`.
        spell_days: risky transactions on a hub further apart than this belong to different spells.
        share: share of an entity's users that must be suspicious for it to link them.
        hub_share: the same for hubs, of the risk that these have of their own.
        hub_least: suspicious users from which on a hub links; as many of a group that is linked already, and half of
            it, must have been there.
        accept: probability from which on a user's dealings with an entity count as the ring's. Company makes sure too
            quickly: of users with little risk of their own, only from here on half are a ring's or more.
        hub_accept: the same at hubs.
        own: risk that the users of a ring have of their own, on average, at least. The rest is company.
        rounds: how often suspicion is passed on between users and what they share.
    """

    members: int = 3
    lookback_days: int = 45
    linked_days: int = 90
    chain: int = 6
    alike: float = 150.0
    risky: float = 0.2
    hub_users: int = 10
    mostly: float = 0.4
    spell_days: float = 14.0
    share: float = 0.3
    hub_share: float = 0.12
    hub_least: int = 4
    accept: float = 0.95
    hub_accept: float = 0.3
    own: float = 0.2
    rounds: int = 3

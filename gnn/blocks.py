"""Which nodes an ego-graph has, and in which order they stand.

A scored transaction (the root) has a tree of three levels: its own user and entities; the
recent other users of those entities and the user's recent other entities; the entities of
those users and the users of those entities. The nodes stand block by block in the order of
`block_plan`, so that the sampler, training, the backtest and the service agree on every row.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from graph.records import USER

ROOT = "root"
"""Name of the set of scored transactions, the parents of level 1."""


@dataclass(frozen=True, slots=True)
class Block:
    """A run of nodes of one type that hang below parents of one set in the same way.

    Attributes:
        name: unique within a plan: `user_2@device`.
        node_type: entity type of its nodes.
        node_set: set its nodes belong to; a set is the concatenation of its blocks, in order.
        parent_set: set that its nodes' parents are counted in; `root` for level 1.
        relation: `parent type>child type`. Blocks of the same relation share weights.
        level: 1, 2 or 3: distance from the root.
    """

    name: str
    node_type: str
    node_set: str
    parent_set: str
    relation: str
    level: int


@lru_cache(maxsize=64)
def block_plan(entities: tuple[str, ...]) -> tuple[Block, ...]:
    """The blocks of an ego-graph, in order, for entity types of which the user is the first."""
    others = entities[1:]
    level_1 = [Block(f"{name}_1", name, f"{name}_1", ROOT, f"{ROOT}>{name}", 1) for name in entities]
    peers = [Block(f"{USER}_2@{name}", USER, f"{USER}_2", f"{name}_1", f"{name}>{USER}", 2) for name in others]
    own = [Block(f"{name}_2", name, f"{name}_2", f"{USER}_1", f"{USER}>{name}", 2) for name in others]
    of_peers = [Block(f"{name}_3", name, f"{name}_3", f"{USER}_2", f"{USER}>{name}", 3) for name in others]
    neighbours = [Block(f"{USER}_3@{name}", USER, f"{USER}_3", f"{name}_2", f"{name}>{USER}", 3) for name in others]
    return tuple(level_1 + peers + own + of_peers + neighbours)


def node_sets(plan: tuple[Block, ...]) -> tuple[str, ...]:
    """The node sets of a plan in the order of their rows, without the root."""
    return tuple(dict.fromkeys(block.node_set for block in plan))


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many numbers `EgoBatch.sizes` has of each kind, in this order.

    Attributes:
        sets: nodes of each node set.
        levels: nodes of each level. tables: rows of each level's table.
        rows: for each block, its rows of its level's table: the nodes of its parent set.
        blocks: nodes of each block.
    """

    sets: int
    levels: int
    tables: int
    rows: int
    blocks: int

    @classmethod
    def of(cls, plan: tuple[Block, ...]) -> Self:
        """Those of a plan."""
        levels = len({block.level for block in plan})
        return cls(len(node_sets(plan)), levels, levels, len(plan), len(plan))

"""Which transactions count as similar: those that agree in the columns of `by`, else in fewer of them."""

from collections.abc import Sequence

from etl.contract.layout import Layout
from etl.mapping import ENTITY_FIELDS
from graph.errors import MappingError

_NAMES = {field: entity for entity, field in ENTITY_FIELDS.items()}


def columns_of(by: Sequence[str], layout: Layout, key: str, *, named: bool) -> tuple[str, ...]:
    """The entity types and categories of the graph that names of a mapping stand for.

    Args:
        by: names as in the mapping: `restaurant_id`, `payment_method`, an entity type, a categorical column.
        key: where they stand in the mapping, for messages.
        named: whether the mapping names them itself; what it does not have of the usual ones is left out.

    Raises:
        MappingError: one is named that the mapping does not have.
    """
    known = (*layout.entities, *layout.categories)
    found = []
    for name in by:
        column = _NAMES.get(name, name)
        if column in known:
            found.append(column)
        elif named:
            shown = ", ".join(ENTITY_FIELDS.get(other, other) for other in known)
            raise MappingError(f"{key}: {name!r} is no mapped entity or category", hint=f"mapped are {shown}")
    return tuple(dict.fromkeys(found))

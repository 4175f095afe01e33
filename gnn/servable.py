"""A bundle is verified before it is used: unchanged, for this version, for these columns, scoring as it did."""

from dataclasses import dataclass
from pathlib import Path

from gnn.bundle import Bundle, open_bundle
from gnn.parity import check_parity
from gnn.predictor import Predictor
from gnn.serving import Serving, load_predictor, schema_of
from graph.errors import BundleError
from graph.records import GraphSchema


@dataclass(frozen=True, slots=True)
class Servable:
    """A verified bundle with its models in memory.

    Attributes:
        verified: rows of its sample that were scored again; 0 where an earlier version wrote it without one.
    """

    bundle: Bundle
    predictor: Predictor
    serving: Serving
    verified: int

    @property
    def name(self) -> str:
        """The model version that decisions carry."""
        return self.bundle.name


def load_servable(path: Path, schema: GraphSchema | None = None) -> Servable:
    """Loads a bundle for scoring.

    Checked in this order: format and fingerprint of every file, columns, feature catalogue, the models' widths, and
    the probabilities of the sample that it carries.

    Args:
        path: its directory.
        schema: what the as-of index has, where there is one already.

    Raises:
        BundleError: it is missing, damaged, from a newer version, for other columns or features, or does not score
            as it did when it was written; says which.
    """
    bundle = open_bundle(path)
    if schema is not None:
        _require_columns(bundle, schema)
    predictor, serving = load_predictor(bundle)
    return Servable(bundle, predictor, serving, check_parity(bundle, predictor, serving.schema.entities))


def _require_columns(bundle: Bundle, index: GraphSchema) -> None:
    theirs = schema_of(bundle)
    if theirs == index:
        return
    differences = []
    for what in ("entities", "categories", "numeric"):
        wanted, have = getattr(theirs, what), getattr(index, what)
        if wanted == have:
            continue
        named = [
            f"{sign}{name}" for sign, a, b in (("+", wanted, have), ("-", have, wanted)) for name in a if name not in b
        ]
        differences.append(f"{what} {', '.join(named) or 'in another order'}")
    raise BundleError(
        f"bundle {bundle.name} was trained on other columns than the index has: {'; '.join(differences)}",
        hint="restart the service: it opens its index with the columns of the bundle in use",
    )

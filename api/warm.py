"""Compiling what scoring runs before anybody waits for it."""

from typing import TYPE_CHECKING

from gnn.scoring import Question
from graph.index import AsOfIndex

if TYPE_CHECKING:
    from gnn.scorer import Scorer


def warm_up(scorer: "Scorer") -> None:
    """Runs all that is compiled at its first use, which takes a moment where it is kept on disk, and else a minute
    on a busy machine. The scorer's index stays as it is.
    """
    index = AsOfIndex(scorer.schema)
    row = index.append(None, 0, 0, [-1] * len(scorer.schema.keyed))
    index.add_label(row, 0, False)
    scorer.score([Question("", 0, 0, {}, indexed=True)])

"""Compiling what scoring runs before anybody waits for it."""

from typing import TYPE_CHECKING

from gnn.ahead import compile_lookups
from gnn.scoring import Question

if TYPE_CHECKING:
    from gnn.scorer import Scorer


def warm_up(scorer: "Scorer") -> None:
    """Runs all that is compiled at its first use, which takes a moment where it is kept on disk, and else a minute
    on a busy machine. The scorer's index stays as it is.
    """
    compile_lookups()
    scorer.score([Question("", 0, 0, {}, indexed=True)])

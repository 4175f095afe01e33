"""How the head's ensembles are grown: by LightGBM, several at a time.

An ensemble on a core of its own waits for nobody. The threads that LightGBM would put to one ensemble wait for each
other several times a level: on two cores, three ensembles of 35,000 rows by 240 columns took three times as long so.
The trees are the same either way. How many threads it uses is one number for all that LightGBM does in a process, and
whoever changes it while something grows breaks that: whatever runs beside another must ask for the same.
(https://lightgbm.readthedocs.io/en/latest/Parameters.html#num_threads)
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from graph.progress import Advance, Progress

if TYPE_CHECKING:
    from gnn.head import HeadSettings, Rows

# Read by OpenMP when LightGBM loads it. Threads that spin while they wait take the cores from each other: where
# anything else runs, growing trees took ten times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_SMOOTHING_ROUNDS: Final = 15


def available_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Stopped(Exception):
    """Another ensemble has failed, or whoever waits for them was interrupted."""


class _Judge:
    """Stops growing once validation gets no better, by a running mean of its average precision.

    The first trees each see few columns and are judged by luck: alone, one may well look better than the next
    fifty together. So early rounds cannot win, and single peaks do not count.
    """

    order = 30
    before_iteration = False

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.mean = 0.0
        self.best: tuple[int, float, Any] = (0, -np.inf, None)
        """Round from 0, its running mean, its own results."""

    def __call__(self, env: Any) -> None:
        import lightgbm

        results = env.evaluation_result_list
        score = results[0][2]
        share = max(1 / _SMOOTHING_ROUNDS, 1 / (env.iteration - env.begin_iteration + 1))
        self.mean += share * (score - self.mean)
        last = env.iteration == env.end_iteration - 1
        if self.mean > self.best[1] and (env.iteration >= 2 * _SMOOTHING_ROUNDS or last):
            self.best = (env.iteration, self.mean, results)
        waited = env.iteration - self.best[0]
        if last or (waited >= self.patience and np.isfinite(self.best[1])):
            raise lightgbm.callback.EarlyStopException(self.best[0], self.best[2])


class Grower:
    """Grows ensembles, all from the same rows.

    Args:
        rows: what they learn from.
        judged: what tells when a further tree no longer helps; None grows all trees asked for.
        fraud_factor: by how much frauds count more.
        seed: of LightGBM.
        settings: how to grow.
        progress: watcher; one stage for all, of one unit a tree.
    """

    def __init__(
        self,
        rows: "Rows",
        judged: "Rows | None",
        fraud_factor: float,
        seed: int,
        settings: "HeadSettings",
        progress: Progress,
    ) -> None:
        import lightgbm

        self._settings, self._seed, self._progress = settings, seed, progress
        weight = np.where(rows.y, rows.weight * fraud_factor, rows.weight)
        self._params = {
            "objective": "binary",
            "metric": "average_precision",
            "learning_rate": settings.learning_rate,
            "num_leaves": settings.leaves,
            "min_data_in_leaf": max(2, min(settings.leaf_rows, len(rows.y) // 100)),
            "min_sum_hessian_in_leaf": 1e-3,
            "lambda_l2": settings.l2,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "max_bin": 127,
            "zero_as_missing": False,
            "use_missing": True,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "seed": seed,
            "verbosity": -1,
        }
        # Made here, not by whichever ensemble comes first: they share them.
        y = rows.y.astype(np.int32)
        self._data = lightgbm.Dataset(rows.X, y, weight=weight / weight.mean(), params=self._params).construct()
        self._valid = []
        if judged is not None:
            frauds = judged.y.astype(np.int32)
            valid = lightgbm.Dataset(
                judged.X, frauds, weight=judged.weight, reference=self._data, params=self._params
            ).construct()
            self._valid = [valid]

    def grow(self, rounds: Sequence[int]) -> list[Any]:
        """The ensembles, of at most so many trees each, as boosters of LightGBM; in the order of the settings."""
        stopped, lock = Event(), Lock()
        with self._progress.stage("growing trees", total=sum(rounds)) as advance:

            def one(done: int) -> None:
                with lock:
                    advance(done)

            shares = self._settings.column_shares
            with ThreadPoolExecutor(min(len(shares), available_cores()), "growing") as pool:
                # Those that look at most columns take longest.
                order = sorted(range(len(rounds)), key=lambda member: -shares[member])
                tasks = {member: pool.submit(self._grow, member, rounds[member], one, stopped) for member in order}
                try:
                    for task in as_completed(tasks.values()):
                        task.result()
                except BaseException:
                    stopped.set()
                    raise
                return [tasks[member].result() for member in range(len(rounds))]

    def _grow(self, member: int, rounds: int, advance: Advance, stopped: Event) -> Any:
        import lightgbm

        own = {
            "feature_fraction": self._settings.column_shares[member],
            "feature_fraction_seed": self._seed * 1_009 + 2 * member + 1,
            "bagging_seed": self._seed * 1_009 + 2 * member + 2,
        }

        def watch(_env: Any) -> None:
            if stopped.is_set():
                raise _Stopped
            advance(1)

        callbacks: list[Any] = [_Judge(self._settings.patience)] if self._valid else []
        return lightgbm.train(
            {**self._params, **own}, self._data, rounds, valid_sets=self._valid, callbacks=[*callbacks, watch]
        )

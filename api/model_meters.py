"""What the service counts of models: which are in use, swaps, and what the challenger made of the same traffic."""

import os
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

Role = Literal["champion", "challenger"]
BANDS: Final = ("approve", "review", "block")


class ModelMeters:
    """The meters of a process's models, on the registry of all its meters."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._info = Gauge(
            "quipu_model_info",
            "The models in use: 1 for the champion, which decides, and for the challenger beside it.",
            ["version", "role"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        swaps = Counter(
            "quipu_model_swaps",
            "Bundles that a running service took, as champion or challenger, or refused.",
            ["role", "outcome"],
            registry=registry,
        )
        self._swaps = {
            (role, outcome): swaps.labels(role, outcome)
            for role in ("champion", "challenger")
            for outcome in ("swapped", "refused")
        }
        self.refused = Gauge(
            "quipu_model_refused",
            "Whether the models folder names a bundle that the service cannot use, so that it goes on with another.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        compared = Counter(
            "quipu_shadow_decisions",
            "Transactions that the challenger scored beside the champion, by the bands of both.",
            ["champion", "challenger"],
            registry=registry,
        )
        self.compared = {(a, b): compared.labels(a, b) for a in BANDS for b in BANDS}
        missed = Counter(
            "quipu_shadow_missed",
            "Transactions that the challenger was not asked about, or whose comparison was not kept.",
            ["reason"],
            registry=registry,
        )
        self.dropped, self.failed = missed.labels("overloaded"), missed.labels("failed")
        self._in_use: dict[Role, str] = {}

    def use(self, role: Role, version: str | None) -> None:
        """Tells which bundle has a role now; None for none."""
        before = self._in_use.pop(role, None)
        if before is not None and before != version:
            self._info.labels(before, role).set(0)
            if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # with several processes, a series cannot be removed
                self._info.remove(before, role)
        if version is not None:
            self._info.labels(version, role).set(1)
            self._in_use[role] = version

    def swapped(self, role: Role) -> None:
        """Counts a bundle that came into use while the service ran."""
        self._swaps[role, "swapped"].inc()

    def refuse(self, role: Role) -> None:
        """Counts a bundle that was refused."""
        self._swaps[role, "refused"].inc()

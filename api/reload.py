"""The models of a running service: it follows its models folder, and takes a bundle only after verifying it.

A bundle is loaded, verified and warmed on a thread of its own; then the engine goes over to it between two batches.
One that cannot be used changes nothing, and is told of.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from api.engine import Engine
from api.errors import ModelRefused
from api.model_meters import ModelMeters, Role
from api.shadow import Shadow
from gnn.champion import CHALLENGER, CURRENT, challenger, current_bundle, history
from gnn.servable import load_servable
from graph.errors import BundleError, QuipuError

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_RETRY_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a bundle that the models folder names is not used.

    Attributes:
        role: champion or challenger. bundle: its name, empty where the folder's file names none that can be read.
        at: when it was refused first, seconds since the epoch, UTC.
    """

    role: Role
    bundle: str
    reason: str
    hint: str | None
    at: float


class Models:
    """Which bundles score, and the changes of that.

    Args:
        folder: models folder to follow; None where the service was given a bundle of its own, which it keeps.
        shadows: file of the challenger's decisions.
    """

    def __init__(self, folder: Path | None, engine: Engine, meters: ModelMeters, shadows: Path) -> None:
        self._folder = folder
        self._engine = engine
        self._meters = meters
        self._shadows = shadows
        self._refusals: dict[Role, Refusal] = {}
        self._shadow: Shadow | None = None
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="quipu-models", daemon=True)
        meters.use("champion", engine.scorer.model_version)

    def start(self) -> None:
        """Begins to follow the folder."""
        if self._folder is not None:
            self._watcher.start()

    def stop(self) -> None:
        """Ends following, and the challenger's work. The engine must still run."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()
        with self._changing:
            self._use_shadow(None)

    def reload(self) -> dict[str, Any]:
        """Looks at the folder now, whatever it held before; returns `status`.

        Raises:
            ModelRefused: the champion cannot be used, or the service does not follow a folder.
        """
        if self._folder is None:
            raise ModelRefused(
                "the service was started with a bundle of its own (--bundle) and keeps it",
                hint="start it without --bundle, so that it follows its models folder",
            )
        self._look()
        refusal = self._refusals.get("champion")
        if refusal is not None:
            raise ModelRefused(
                f"{refusal.reason}; {self._engine.scorer.model_version} goes on serving", hint=refusal.hint
            )
        return self.status()

    def status(self) -> dict[str, Any]:
        """`model_version`, `challenger` (None where there is none) and `refused`, a list of what cannot be used."""
        shadow = self._shadow
        return {
            "model_version": self._engine.scorer.model_version,
            "challenger": None if shadow is None else shadow.name,
            "refused": [asdict(refusal) for refusal in self._refusals.values()],
        }

    def _watch(self) -> None:
        seen: object = None
        looked_at = 0.0
        while not self._stopping.is_set():
            now = self._signature()
            # What was refused may be whole later on: a folder that is copied from elsewhere arrives piece by piece.
            again = self._refusals and time.monotonic() - looked_at > _RETRY_SECONDS
            if now != seen or again:
                seen, looked_at = now, time.monotonic()
                try:
                    self._look()
                except Exception:
                    log.exception("looking for another model failed; it will be tried again")
            self._stopping.wait(_LOOK_SECONDS)

    def _signature(self) -> object:
        assert self._folder is not None
        return tuple(_state(self._folder / name) for name in (CURRENT, CHALLENGER))

    def _look(self) -> None:
        with self._changing:
            if not self._stopping.is_set():
                self._settle("champion", self._champion)
                self._settle("challenger", self._challenger)
            self._meters.refused.set(len(self._refusals) > 0)

    def _settle(self, role: Role, change: Callable[[], tuple[str, bool]]) -> None:
        """Makes one change, and keeps what it says where it cannot be made."""
        try:
            name, swapped = change()
        except _Unusable as unusable:
            self._refuse(role, unusable.bundle, unusable.error)
            return
        self._refusals.pop(role, None)
        if swapped:
            self._meters.use(role, name or None)
            if name:
                self._meters.swapped(role)
                log.info("%s is the %s now", name, role)
            else:
                log.info("there is no %s any more", role)

    def _refuse(self, role: Role, bundle: str, error: QuipuError) -> None:
        before = self._refusals.get(role)
        if before is not None and (before.bundle, before.reason) == (bundle, error.message):
            return
        self._refusals[role] = Refusal(role, bundle, error.message, error.hint, time.time())
        self._meters.refuse(role)
        log.error("the %s %s is not used: %s%s", role, bundle, error.message, f" ({error.hint})" if error.hint else "")

    def _champion(self) -> tuple[str, bool]:
        from gnn.scorer import Scorer

        assert self._folder is not None
        engine, name = self._engine, ""
        try:
            name = next(iter(history(self._folder)), "")
            path = current_bundle(self._folder)
            if name == engine.scorer.model_version:
                return name, False
            scorer = Scorer(load_servable(path, engine.index.schema), engine.index)
        except Exception as error:
            raise _Unusable(name, error) from error
        before = engine.scorer
        engine.call(lambda: engine.use(scorer)).result()
        del before  # here, so that no batch waits while its memory is freed
        return name, True

    def _challenger(self) -> tuple[str, bool]:
        assert self._folder is not None
        engine, name = self._engine, ""
        used = "" if self._shadow is None else self._shadow.name
        try:
            name = challenger(self._folder) or ""
            if name == engine.scorer.model_version:
                name = ""
            if name == used:
                return name, False
            shadow = None
            if name:
                servable = load_servable(self._folder / name, engine.index.schema)
                shadow = Shadow(servable, self._shadows, self._meters)
        except Exception as error:
            self._use_shadow(None)  # the one that was named before is not asked for any more
            self._meters.use("challenger", None)
            raise _Unusable(name, error) from error
        self._use_shadow(shadow)
        return name, True

    def _use_shadow(self, shadow: Shadow | None) -> None:
        before, self._shadow = self._shadow, shadow
        engine = self._engine
        engine.call(lambda: engine.watch(None if shadow is None else shadow.offer)).result()
        if before is not None:
            before.close()


class _Unusable(Exception):
    """Why a bundle (its name; empty where that is not known) cannot be used."""

    def __init__(self, bundle: str, error: Exception) -> None:
        super().__init__(str(error))
        self.bundle = bundle
        known = error if isinstance(error, QuipuError) else BundleError(f"bundle {bundle} cannot be loaded: {error}")
        self.error: QuipuError = known


def _state(path: Path) -> tuple[int, int, int] | None:
    """What tells one content of a file from the next, where each is written as a new file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size

"""What the DAGs share: windows of time, retries, callbacks, assets, and the store.

Airflow reads this with each DAG file, so nothing heavy is imported here but inside what tasks call.
"""

from calendar import timegm
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, Context, CronDataIntervalTimetable, RetryDecision, RetryPolicy

from graph.errors import InputError, QuipuError
from graph.settings import Settings, settings

if TYPE_CHECKING:
    from graph.store import Store

GRAPH = Asset("quipu_graph")
"""The graph has passed the checks of a refresh. Its events say of which window: `since`, `until`."""
MODEL_DRIFT = Asset("quipu_model_drift")
"""The model in use no longer fits what comes in. Its events carry the window looked at, and `why`."""
MODEL = Asset("quipu_model")
"""Another model was put in use."""

CONFIGURED: Settings = settings()

_UNFORESEEN = 2

Window = tuple[int, int]
"""[since, until), microseconds UTC."""


class AskTheError(RetryPolicy):
    """Tries again what an outage stopped, and gives up at once what would fail again; errors that nobody foresaw are
    tried twice more."""

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,  # noqa: ARG002
    ) -> RetryDecision:
        if not isinstance(exception, QuipuError):
            if try_number <= _UNFORESEEN:
                return RetryDecision.default()
            return RetryDecision.fail(reason=f"{type(exception).__name__}, which is no outage")
        reason = exception.message if exception.hint is None else f"{exception.message} ({exception.hint})"
        return RetryDecision.retry(reason=reason) if exception.retryable else RetryDecision.fail(reason=reason)


TASKS: dict[str, Any] = {
    "retries": CONFIGURED.schedule_retries,
    "retry_delay": timedelta(seconds=CONFIGURED.schedule_retry_seconds),
    "retry_policy": AskTheError(),
}
"""Arguments of all tasks."""


def start() -> tuple[datetime, bool]:
    """The first moment that schedules cover, and whether what was missed since is made up for."""
    day = CONFIGURED.schedule_start
    if day is None:
        return datetime(2025, 1, 1, tzinfo=UTC), False
    return datetime(day.year, day.month, day.day, tzinfo=UTC), True


def timetable(cron: str) -> CronDataIntervalTimetable:
    """A schedule whose runs cover the time since the one before; a plain cron text would make empty intervals."""
    return CronDataIntervalTimetable(cron, timezone="UTC")


def window(context: Mapping[str, Any]) -> Window:
    """The time that a run is about: of its schedule, of the events that triggered it, or of its configuration.

    Raises:
        InputError: a run that somebody started says nothing of it.
    """
    events = [e for each in (context.get("triggering_asset_events") or {}).values() for e in each]
    extras = [e.extra for e in events if {"since", "until"} <= set(e.extra)]
    if extras:
        return min(_moment(e["since"]) for e in extras), max(_moment(e["until"]) for e in extras)
    run = context["dag_run"]
    given = run.conf or {}
    if "since" in given and "until" in given:
        return _moment(given["since"]), _moment(given["until"])
    since, until = context.get("data_interval_start"), context.get("data_interval_end")
    if since is not None and until is not None and since < until:
        return _microseconds(since), _microseconds(until)
    raise InputError(
        f"run {run.run_id} says nothing of the time it is about",
        hint='give it a configuration such as {"since": "2026-03-01T00:00:00Z", "until": "2026-03-02T00:00:00Z"}',
    )


def said(of: Window) -> dict[str, str]:
    """A window as an event of an asset carries it."""
    return {"since": _iso(of[0]), "until": _iso(of[1])}


@contextmanager
def store() -> Iterator["Store"]:
    """The graph store of the settings, opened for one task."""
    from graph.store import open_store

    opened = open_store(CONFIGURED.store)
    try:
        yield opened
    finally:
        opened.close()


def on_success(context: Mapping[str, Any]) -> None:
    """Publishes that a run went well."""
    _publish(context, "success")


def on_failure(context: Mapping[str, Any]) -> None:
    """Publishes that a run failed, which raises an alert."""
    _publish(context, "failed")


def _publish(context: Mapping[str, Any], outcome: Any) -> None:
    from graph.schedule_metrics import publish_run

    run = context["dag_run"]
    ended = run.end_date or datetime.now(UTC)
    seconds = (ended - run.start_date).total_seconds() if run.start_date else 0.0
    publish_run(CONFIGURED.var, run.dag_id, outcome, ended_at=ended.timestamp(), seconds=seconds)


def _moment(value: str) -> int:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InputError(f"{value!r} is no time", hint="write it like 2026-03-01T00:00:00Z") from None
    return _microseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _microseconds(moment: datetime) -> int:
    return timegm(moment.utctimetuple()) * 1_000_000 + moment.microsecond


def _iso(at: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).isoformat()

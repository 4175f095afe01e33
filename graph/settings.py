"""All settings of Quipu, read from the environment once, at the edge.

Every field is an environment variable with the prefix `QUIPU_` (for instance
`QUIPU_STORE`); a `.env` file in the working directory is read too.
"""

from datetime import date
from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from graph.errors import InputError

REFRESHED_INDEX = "refresh/index"
"""Under the folder `var`; see `Settings.refreshed_index`."""


class Settings(BaseSettings):
    """Typed settings; a wrong value fails at start with the variable's name."""

    model_config = SettingsConfigDict(env_prefix="QUIPU_", env_file=".env", extra="ignore", frozen=True)

    store: str = Field("sqlite:///var/quipu.db", description="URL of the graph store")
    neo4j_password: SecretStr | None = Field(
        None, description="password of a Neo4j store whose URL has none; there is no default"
    )
    browser_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="address of Neo4j Browser for links, such as http://graph.example:7474; by default that of the "
        "server of a Neo4j store",
    )
    var: Path = Field(Path("var"), description="folder for keys, models, snapshots and the spool")
    host: str = Field("127.0.0.1", description="address the service listens on")
    port: int = Field(8000, ge=0, le=65535, description="port the service listens on; 0 picks a free one")
    workers: int = Field(1, ge=1, le=64, description="service processes; each holds an index of its own")
    require_keys: bool = Field(True, description="whether the HTTP service asks for an API key")
    batch_max: int = Field(64, ge=1, le=1024, description="most transactions scored in one step")
    queue_max: int = Field(4096, ge=1, description="most transactions waiting before the service answers 503")
    snapshot_every: int = Field(300, ge=1, description="seconds between index snapshots")
    future_tolerance: int = Field(300, ge=0, description="seconds a transaction may lie in the future")
    review_cost: float = Field(
        5.0, gt=0, allow_inf_nan=False, description="cost of an investigator's look at one transaction"
    )
    decline_cost: float = Field(30.0, gt=0, allow_inf_nan=False, description="cost of blocking one genuine transaction")
    fraud_loss: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="share of a missed fraud's amount that is lost"
    )
    mapping: Path | None = Field(None, description="mapping file that the scheduled refresh of the graph loads by")
    schedule_start: date | None = Field(
        None, description="first day that schedules cover; what was missed since is made up for. Without it nothing is"
    )
    refresh_schedule: str = Field("@daily", description="when the graph is refreshed: cron, or @hourly or @daily; UTC")
    training_schedule: str = Field(
        "0 0 * * 1", description="when a challenger is trained and compared: cron, at which a refresh ends too; UTC"
    )
    refresh_overlap_hours: int = Field(
        72, ge=0, description="hours before its interval that a refresh reads again, for rows that came late"
    )
    refresh_late_hours: int = Field(
        24, ge=1, description="how old the newest transaction may be at the end of a refresh's interval"
    )
    refresh_quarantine_limit: float = Field(
        0.05, ge=0, le=1, description="share of a refresh's rows that may be quarantined before its checks fail"
    )
    challenge_weeks: int = Field(
        4, ge=1, le=52, description="most recent weeks on which a challenger is compared with the champion"
    )
    schedule_retries: int = Field(30, ge=0, description="how often a scheduled task is tried again after an outage")
    schedule_retry_seconds: int = Field(60, ge=1, description="seconds before each of these")
    service_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s?#]+$",
        description="address of the scoring service, which scheduled training tells of a new model; by default it is "
        "left to notice by itself",
    )
    service_key: SecretStr | None = Field(
        None, description="API key with the scope admin for that; there is no default"
    )
    log_level: str = Field(
        "INFO", pattern="^(?i:debug|info|warning|error)$", description="DEBUG, INFO, WARNING or ERROR"
    )

    @property
    def refreshed_index(self) -> Path:
        """Folder of the snapshots that a scheduled refresh writes of the as-of index."""
        return self.var / REFRESHED_INDEX


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings. Tests that change the environment call `settings.cache_clear()`.

    Raises:
        InputError: a variable has a value that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"QUIPU_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise InputError(f"the environment has a wrong setting: {wrong}", hint="see docs/settings.md") from None

"""`quipu graph backup` and `quipu graph restore`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, StoreOption, emit, out

if TYPE_CHECKING:
    from graph.backup import Backup


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Back up the store, and the folder QUIPU_VAR with keys, models and the spool, while everything runs.

    All that was acknowledged before it began is in it. It holds keys: keep it as you keep those.

    Example: quipu graph backup backups/2026-03-01
    """
    from etl.ledger.quarantine import sidecar
    from graph.backup import back_up
    from graph.settings import settings

    url = store or settings().store
    made = back_up(url, settings().var, folder, ledger=sidecar(url), progress=ConsoleProgress())
    emit(_described(made), as_json=as_json, text=_told(f"{folder} is whole"))


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a backup.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a backup, and put it into an empty store and an empty folder QUIPU_VAR, with nothing running on them.

    Example: quipu graph restore backups/2026-03-01
    """
    from etl.ledger.quarantine import sidecar
    from graph.backup import restore as put_back
    from graph.settings import settings

    url = store or settings().store
    done = put_back(folder, url, settings().var, ledger=sidecar(url), progress=ConsoleProgress())
    emit(_described(done), as_json=as_json, text=_told(f"{folder} is restored"))


def _described(backup: "Backup") -> dict[str, Any]:
    from datetime import UTC, datetime

    return {
        "began_at": datetime.fromtimestamp(backup.began_at, UTC).isoformat(timespec="seconds"),
        "quipu": backup.quipu,
        "counts": backup.counts,
        "files": len(backup.files),
        "bytes": sum(size for size, _ in backup.files.values()),
    }


def _told(what: str) -> Any:
    def text(result: dict[str, Any]) -> None:
        out.print(f"{what}: as of {result['began_at']}, {result['files']:,} files, {result['bytes'] / 1e6:,.1f} MB")
        for name in ("transactions", "labels", "decisions", "rings"):
            if name in result["counts"]:
                out.print(f"{name:<16}{result['counts'][name]:,}")

    return text

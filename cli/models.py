"""`quipu models`: which bundles there are, which is in use, and how a challenger does beside it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import JsonOption, StoreOption, emit, err, out

if TYPE_CHECKING:
    from api.shadow_log import Shadowed

app = typer.Typer(help="List, promote, roll back and challenge bundles.", no_args_is_help=True)

FolderOption = Annotated[Path | None, typer.Option("--models", help="Folder of bundles; by default below QUIPU_VAR.")]
_LABELS_AT_ONCE = 4_000


@app.callback()
def _group() -> None:
    """List, promote, roll back and challenge bundles.

    A service that was started without --bundle takes each change within a second, without a restart.
    """


def _folder(given: Path | None) -> Path:
    from gnn.champion import MODELS
    from graph.settings import settings

    return given or settings().var / MODELS


@app.command("list")
def list_models(models: FolderOption = None, as_json: JsonOption = False) -> None:
    """List the bundles, and say which is in use, which was before, and which is the challenger.

    Example: quipu models list
    """
    from gnn.champion import challenger, history, list_bundles

    folder = _folder(models)
    names, used, beside = list_bundles(folder), history(folder), challenger(folder)

    def text(result: dict[str, Any]) -> None:
        marks = {result["previous"]: "before", result["challenger"]: "challenger", result["in_use"]: "in use"}
        for name in result["bundles"]:
            out.print(f"{name}{f'  {marks[name]}' if name in marks else ''}")
        if not result["bundles"]:
            out.print(f"no bundles in {folder}; train one: quipu train")

    found = {"in_use": used[0] if used else None, "previous": used[1] if used[1:] else None, "challenger": beside}
    emit({"bundles": names, **found}, as_json=as_json, text=text)


@app.command()
def promote(name: str, models: FolderOption = None, as_json: JsonOption = False) -> None:
    """Put a bundle in use, after checking that it can be served.

    Example: quipu models promote 20260301-0f3a9c21d4be
    """
    from gnn.champion import promote as put_in_use

    folder = _folder(models)
    _try(folder, name)
    bundle = put_in_use(folder, name)
    emit({"in_use": bundle.name}, as_json=as_json, text=lambda r: out.print(f"in use: {r['in_use']}"))


@app.command()
def rollback(models: FolderOption = None, as_json: JsonOption = False) -> None:
    """Put the bundle before the one in use back in use.

    Example: quipu models rollback
    """
    from gnn.champion import history
    from gnn.champion import rollback as go_back

    folder = _folder(models)
    for name in history(folder)[1:2]:
        _try(folder, name)
    bundle = go_back(folder)
    emit({"in_use": bundle.name}, as_json=as_json, text=lambda r: out.print(f"in use: {r['in_use']}"))


@app.command()
def challenge(name: str, models: FolderOption = None, as_json: JsonOption = False) -> None:
    """Let a bundle score beside the one in use; its decisions are kept and compared, never answered.

    Example: quipu models challenge 20260308-77aa31c09b5e
    """
    from gnn.champion import challenge as set_beside

    folder = _folder(models)
    _try(folder, name)
    bundle = set_beside(folder, name)
    emit({"challenger": bundle.name}, as_json=as_json, text=lambda r: out.print(f"challenger: {r['challenger']}"))


@app.command()
def withdraw(models: FolderOption = None, as_json: JsonOption = False) -> None:
    """End the challenge; what the challenger would have decided stays for `quipu models shadow`.

    Example: quipu models withdraw
    """
    from gnn.champion import challenger
    from gnn.champion import withdraw as end_challenge

    folder = _folder(models)
    name = challenger(folder)
    end_challenge(folder)

    def text(result: dict[str, Any]) -> None:
        out.print(f"withdrawn: {result['withdrawn']}" if result["withdrawn"] else "there was no challenger")

    emit({"withdrawn": name}, as_json=as_json, text=text)


@app.command()
def shadow(
    name: Annotated[
        str | None, typer.Option("--challenger", help="Bundle; by default the challenger, or the latest one.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, max=1000, help="Most transactions to name.")] = 10,
    models: FolderOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the challenger with the champion on the transactions that both have scored.

    Labels that the store has meanwhile tell which of them was right.

    Example: quipu models shadow
    """
    import numpy as np

    from api.shadow_log import SHADOW, latest_pair, shadowed
    from gnn.agreement import Decided, agreement, farthest_apart
    from gnn.champion import challenger
    from graph.errors import NotFound
    from graph.settings import settings

    configured = settings()
    file = configured.var / SHADOW
    wanted = name or challenger(_folder(models))
    pair = latest_pair(file, wanted)
    if pair is None:
        raise NotFound(
            f"there are no decisions of {f'the challenger {wanted}' if wanted else 'a challenger'} in {file}",
            hint="name one with `quipu models challenge NAME`; a running service then scores with it beside",
        )
    rows = shadowed(file, *pair)
    label = _labels([row.transaction_id for row in rows], store or configured.store)
    used, beside = (
        Decided(np.array([p for p, _ in decided], np.float64), np.array([band for _, band in decided], np.str_))
        for decided in (
            [(row.champion_probability, row.champion_band) for row in rows],
            [(row.challenger_probability, row.challenger_band) for row in rows],
        )
    )
    places = farthest_apart(used, beside, limit).tolist()
    result = {
        "champion": pair[0],
        "challenger": pair[1],
        **agreement(used, beside, np.array([row.decided_at for row in rows], np.int64), label),
        "differ_most": [_named(rows[i], int(label[i])) for i in places],
    }
    emit(result, as_json=as_json, text=_show)


def _labels(transaction_ids: list[str], url: str) -> Any:
    """int8[n]: what is known of each by now; all unknown while the store is away."""
    import numpy as np

    from graph.errors import StoreUnavailable
    from graph.store import open_store

    label = np.full(len(transaction_ids), -1, np.int8)
    try:
        opened = open_store(url)
        try:
            for first in range(0, len(transaction_ids), _LABELS_AT_ONCE):
                part = transaction_ids[first : first + _LABELS_AT_ONCE]
                histories = opened.labels_of(part)
                for i, transaction_id in enumerate(part, first):
                    for _, is_fraud, _ in histories.get(transaction_id, [])[-1:]:
                        label[i] = is_fraud
        finally:
            opened.close()
    except StoreUnavailable as error:
        err.print(f"without labels: {error.message}")
    return label


def _named(row: "Shadowed", label: int) -> dict[str, Any]:
    return {
        "transaction_id": row.transaction_id,
        "champion": {"probability": row.champion_probability, "band": row.champion_band},
        "challenger": {"probability": row.challenger_probability, "band": row.challenger_band},
        "is_fraud": bool(label) if label >= 0 else None,
    }


def _show(result: dict[str, Any]) -> None:
    bands, alerts, labelled = result["bands"], result["alerts"], result["labelled"]
    out.print(f"champion      {result['champion']}")
    out.print(f"challenger    {result['challenger']}")
    out.print(f"transactions  {result['transactions']:,}, {result['agreement']:.2%} of them in the same band\n")
    out.print(f"{'champion':<12}{'challenger:':>12}{''.join(f'{band:>10}' for band in bands)}")
    for band, row in bands.items():
        out.print(f"{band:<24}{''.join(f'{number:>10,}' for number in row.values())}")
    out.print()
    for name in ("champion", "challenger"):
        told, quality = alerts[name], labelled[name]
        a_day = "" if told["per_day"] is None else f", {told['per_day']:,.0f} a day"
        out.print(f"{name:<14}{told['review']:,} to review, {told['block']:,} blocked ({told['share']:.2%}{a_day})")
        if labelled["transactions"]:
            out.print(f"{'':<14}precision {_share(quality['precision'])}, recall {_share(quality['recall'])}")
    apart = labelled["apart"]
    out.print(
        f"\n{labelled['transactions']:,} have a label by now, {labelled['frauds']:,} of them fraud; on "
        f"{apart['transactions']:,} one alerts and the other does not: the champion was right on "
        f"{apart['champion_right']:,}, the challenger on {apart['challenger_right']:,}"
    )
    if result["differ_most"]:
        out.print("\nfarthest apart")
    for row in result["differ_most"]:
        known = {True: "fraud", False: "genuine", None: ""}[row["is_fraud"]]
        said = " / ".join(
            f"{model['probability']:.4f} {model['band']}" for model in (row["champion"], row["challenger"])
        )
        out.print(f"  {row['transaction_id']}  {said}  {known}".rstrip())


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _try(folder: Path, name: str) -> None:
    """Loads a bundle as the service would, so that what cannot be served is not put in use."""
    from gnn.servable import load_servable

    if name == Path(name).name and (folder / name).is_dir():  # what is not there is told by what comes next
        load_servable(folder / name)

"""`quipu keys`: who may use the HTTP service."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import JsonOption, emit, out

if TYPE_CHECKING:
    from api.keys import Key, KeyFile

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Create, list and revoke API keys. A running service sees changes within seconds."""


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="Who will use it.")],
    scopes: Annotated[str, typer.Option("--scopes", help="Some of score, label, investigate, admin; comma-separated.")],
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, this once: only a hash of it is kept.

    Example: quipu keys create --name checkout --scopes score,label
    """
    key, secret = _file().create(name, [scope.strip() for scope in scopes.split(",") if scope.strip()])

    def text(result: dict[str, Any]) -> None:
        out.print(result["key"])
        out.print(f"{result['name']}: {', '.join(result['scopes'])}. It is not shown again.")

    emit({"key": secret, **_described(key)}, as_json=as_json, text=text)


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the keys ever made, oldest first.

    Example: quipu keys list
    """
    keys = [_described(key) for key in _file().all()]

    def text(result: dict[str, Any]) -> None:
        if not result["keys"]:
            out.print("there are no keys; `quipu keys create` makes one")
        for key in result["keys"]:
            state = f"revoked {key['revoked_at'][:10]}" if key["revoked_at"] else "active"
            scopes = ",".join(key["scopes"])
            out.print(f"{key['id']}  {key['created_at'][:10]}  {state:<19}{scopes:<30}  {key['name']}")

    emit({"keys": keys}, as_json=as_json, text=text)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `quipu keys list` prints it.")],
    as_json: JsonOption = False,
) -> None:
    """End a key.

    Example: quipu keys revoke 5f0c2a9be310
    """
    key = _file().revoke(key_id)

    def text(result: dict[str, Any]) -> None:
        out.print(f"{result['id']} ({result['name']}) is revoked")

    emit(_described(key), as_json=as_json, text=text)


def _file() -> "KeyFile":
    from api.keys import KeyFile
    from graph.settings import settings

    return KeyFile(settings().var / "keys.json")


def _described(key: "Key") -> dict[str, Any]:
    def moment(at: float | None) -> str | None:
        return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")

    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "created_at": moment(key.created_at),
        "revoked_at": moment(key.revoked_at),
    }

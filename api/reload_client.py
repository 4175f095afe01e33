"""Telling a running service, over HTTP, that another model is in use."""

import http.client
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from gnn.champion import history, rollback
from graph.errors import BundleError, InputError, ServiceUnavailable

_UNAVAILABLE = frozenset({429, 500, 502, 503, 504})


def tell_to_reload(url: str, key: str | None, *, timeout: float = 120.0) -> dict[str, Any]:
    """Asks the service at `url` to load the model in use now; returns what it says of the models it serves.

    Args:
        url: the service's address, without a path of its routes.
        key: an API key with the scope admin, where the service asks for keys.
        timeout: seconds to wait for the answer, which comes once the model is in use.

    Raises:
        ServiceUnavailable: the service cannot be reached, or has no time.
        BundleError: the service refuses the model, and goes on with the one it has.
        InputError: the key or the address is wrong.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url} is no address of a service", hint="such as http://127.0.0.1:8000")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(  # noqa: S310 (the scheme is looked at above)
        f"{url.rstrip('/')}/v1/models/reload", data=b"", headers=headers, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            said: dict[str, Any] = json.loads(answer.read())
            return said
    except urllib.error.HTTPError as error:
        raise _refused(url, error) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ServiceUnavailable(
            f"the service at {url} does not answer: {error}", hint="see whether it runs, and QUIPU_SERVICE_URL"
        ) from error


def reload_or_roll_back(url: str, key: str | None, models: Path, name: str) -> None:
    """Has the service load the bundle `name`, which was promoted; where it refuses, the one before is in use again.

    Raises:
        ServiceUnavailable, InputError: as `tell_to_reload`; the promotion stays, and a running service notices it by
            itself.
        BundleError: the service refuses the model.
    """
    try:
        tell_to_reload(url, key)
    except BundleError:
        names = history(models)
        if names[:1] == [name] and len(names) > 1:
            rollback(models)
        raise


def _refused(url: str, error: urllib.error.HTTPError) -> BundleError | InputError | ServiceUnavailable:
    try:
        problem = json.loads(error.read())
        said = str(problem.get("detail") or problem.get("title"))
    except (OSError, ValueError, AttributeError):
        said = str(error.reason)
    if error.code in _UNAVAILABLE:
        return ServiceUnavailable(f"the service at {url} cannot reload now: {said}")
    if error.code == 409:
        return BundleError(
            f"the service at {url} refuses the model: {said}", hint="it goes on with the model it has had before"
        )
    return InputError(
        f"the service at {url} does not take the call ({error.code}): {said}",
        hint="QUIPU_SERVICE_KEY is a key with the scope admin: quipu keys create --scopes admin",
    )

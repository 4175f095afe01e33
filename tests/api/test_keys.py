"""API keys: only hashes are kept, scopes hold, and changes are seen without a restart."""

import stat
from pathlib import Path

import pytest

from api.errors import Forbidden, Unauthenticated
from api.keys import KeyFile, KeyRing
from graph.errors import InputError, NotFound, StoreError


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "var" / "keys.json")


def ring_of(file: KeyFile) -> KeyRing:
    return KeyRing(file, required=True)


def test_a_key_opens_what_its_scopes_say(file: KeyFile) -> None:
    _, key = file.create("shop", ["score", "label"])
    ring = ring_of(file)
    ring.require(f"Bearer {key}", "score")
    ring.require(f"bearer {key}", "investigate", "label")
    with pytest.raises(Forbidden, match="investigate"):
        ring.require(f"Bearer {key}", "investigate")


def test_admin_opens_everything(file: KeyFile) -> None:
    _, key = file.create("root", ["admin"])
    ring_of(file).require(f"Bearer {key}", "score")


def test_the_secret_is_nowhere_on_disk(file: KeyFile) -> None:
    kept, key = file.create("shop", ["score"])
    assert key.startswith(f"qp_{kept.id}_")
    secret = key.removeprefix(f"qp_{kept.id}_")
    for path in file.path.parent.iterdir():
        assert secret.encode() not in path.read_bytes()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


REFUSED = """
Bearer|Bearer |Bearer qp_|Bearer qp__|Basic {key}|{key}|Bearer {key}x|Bearer {cut}|Bearer qp_000000000000_{secret}
Bearer xx_{id}_{secret}|Bearer qp_{id}_|Bearer \udcff
"""


@pytest.mark.parametrize("header", [None, "", *REFUSED.strip().replace("\n", "|").split("|")])
def test_anything_else_is_refused(file: KeyFile, header: str | None) -> None:
    kept, key = file.create("shop", ["admin"])
    if header is not None:
        header = header.format(key=key, cut=key[:-1], id=kept.id, secret=key.removeprefix(f"qp_{kept.id}_"))
    ring = ring_of(file)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            ring.require(header, "score")
    ring.require(f"Bearer {key}", "score")


def test_no_keys_means_nobody_gets_in(file: KeyFile) -> None:
    with pytest.raises(Unauthenticated):
        ring_of(file).require("Bearer qp_000000000000_", "score")


def test_keys_can_be_switched_off(file: KeyFile) -> None:
    KeyRing(file, required=False).require(None, "admin")


def test_a_revoked_key_stops_and_a_new_one_starts_without_a_restart(file: KeyFile) -> None:
    kept, key = file.create("shop", ["score"])
    ring = KeyRing(file, required=True, look_every=0.0)
    ring.require(f"Bearer {key}", "score")
    file.revoke(kept.id)
    _, newer = file.create("shop again", ["score"])
    with pytest.raises(Unauthenticated):
        ring.require(f"Bearer {key}", "score")
    ring.require(f"Bearer {newer}", "score")


def test_revoking_twice_changes_nothing(file: KeyFile) -> None:
    kept, _ = file.create("shop", ["score"])
    assert file.revoke(kept.id) == file.revoke(kept.id)
    with pytest.raises(NotFound):
        file.revoke("000000000000")


@pytest.mark.parametrize(("name", "scopes"), [("a", []), ("a", ["scores"]), ("a", ["score", "x"]), ("  ", ["score"])])
def test_wrong_scopes_and_names_are_refused(file: KeyFile, name: str, scopes: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        file.create(name, scopes)
    assert caught.value.hint
    assert file.all() == []


def test_a_damaged_file_is_told_and_not_overwritten(file: KeyFile) -> None:
    file.create("shop", ["score"])
    file.path.write_text("{")
    with pytest.raises(StoreError, match="keys"):
        file.create("other", ["score"])
    assert file.path.read_text() == "{"

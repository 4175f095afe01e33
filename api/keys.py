"""API keys: who may do what. Only hashes are kept; a key is shown once, when it is made.

A key is `qp_<id>_<secret>`. The secret has 256 bits, so a plain SHA-256 of it cannot be searched.
"""

import fcntl
import hmac
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import msgspec

from api.errors import Forbidden, Unauthenticated
from graph.errors import InputError, NotFound, StoreError

SCOPES = ("score", "label", "investigate", "admin")
ADMIN = "admin"


class Key(msgspec.Struct, frozen=True):
    """What is kept of a key.

    Attributes:
        digest: SHA-256 of the secret, hexadecimal.
        created_at, revoked_at: seconds since the epoch.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    digest: str
    created_at: float
    revoked_at: float | None = None


class KeyFile:
    """The file of keys (mode 0600), changed by the command line and read by the service."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, name: str, scopes: Sequence[str]) -> tuple[Key, str]:
        """Makes a key; returns what is kept and, this once, the key itself.

        Raises:
            InputError: no or an unknown scope.
        """
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not scopes:
            what = f"there is no scope {unknown[0]!r}" if unknown else "a key needs at least one scope"
            raise InputError(what, hint=f"scopes are {', '.join(SCOPES)}")
        if not name.strip():
            raise InputError("a key needs a name", hint="name it after who will use it")
        secret = secrets.token_urlsafe(32)
        key = Key(
            secrets.token_hex(6),
            name.strip(),
            tuple(scope for scope in SCOPES if scope in scopes),
            sha256(secret.encode()).hexdigest(),
            time.time(),
        )
        with self._changing() as keys:
            keys.append(key)
        return key, f"qp_{key.id}_{secret}"

    def revoke(self, key_id: str) -> Key:
        """Ends a key; ending it again changes nothing.

        Raises:
            NotFound: there is no such key.
        """
        with self._changing() as keys:
            for i, key in enumerate(keys):
                if key.id == key_id:
                    if key.revoked_at is None:
                        keys[i] = msgspec.structs.replace(key, revoked_at=time.time())
                    return keys[i]
        raise NotFound(f"there is no key with the id {key_id!r}", hint="`quipu keys list` prints the ids")

    def all(self) -> list[Key]:
        """All keys ever made, oldest first.

        Raises:
            StoreError: the file cannot be read.
        """
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=list[Key])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError) as error:
            raise StoreError(
                f"the file of API keys {self.path} cannot be read: {error}",
                hint="restore it, or delete it and make new keys",
            ) from error

    def stamp(self) -> tuple[int, int, int]:
        """Changes whenever the file does."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return (0, 0, 0)
        return (status.st_mtime_ns, status.st_size, status.st_ino)

    @contextmanager
    def _changing(self) -> Iterator[list[Key]]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"the folder {self.path.parent} cannot be written: {error}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = self.all()
            yield keys
            new = self.path.with_suffix(".new")
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(keys)))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
        finally:
            os.close(lock)


class KeyRing:
    """Answers, for each request, whether its key allows what it asks. Sees changes of the file within seconds.

    Args:
        required: where False, everything is allowed without a key.
        look_every: seconds between looks at the file.
    """

    def __init__(self, file: KeyFile, *, required: bool, look_every: float = 1.0) -> None:
        self._file = file
        self.required = required
        self._stamp: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}
        self._look_every = look_every
        self._look_at = 0.0
        # By a hash of the whole header: a look-up's timing then tells nothing about a key.
        self._verified: dict[bytes, frozenset[str]] = {}

    def require(self, authorization: str | None, *scopes: str) -> None:
        """Checks that the `Authorization` header has a key with one of `scopes` (or admin).

        Raises:
            Unauthenticated: no key, or not a valid one.
            Forbidden: a valid key without the scope.
        """
        if not self.required:
            return
        if authorization is None:
            raise Unauthenticated("this route needs an API key", hint="send the header `Authorization: Bearer qp_…`")
        now = time.monotonic()
        if now >= self._look_at:
            self._look(now)
        fingerprint = sha256(authorization.encode("utf-8", "surrogatepass")).digest()
        granted = self._verified.get(fingerprint)
        if granted is None:
            granted = self._verify(authorization)
            self._verified[fingerprint] = granted
        if ADMIN not in granted and granted.isdisjoint(scopes):
            raise Forbidden(f"this API key lacks the scope {' or '.join(scopes)}")

    def _look(self, now: float) -> None:
        self._look_at = now + self._look_every
        stamp = self._file.stamp()
        if stamp != self._stamp:
            self._keys = {key.id: key for key in self._file.all() if key.revoked_at is None}
            self._verified.clear()
            self._stamp = stamp

    def _verify(self, authorization: str) -> frozenset[str]:
        scheme, _, token = authorization.partition(" ")
        mark, _, rest = token.strip().partition("_")
        key_id, _, secret = rest.partition("_")
        key = self._keys.get(key_id)
        digest = sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
        valid = hmac.compare_digest(digest, key.digest if key else "")
        if scheme.lower() != "bearer" or mark != "qp" or key is None or not valid:
            raise Unauthenticated("this API key is not valid", hint="it may have been revoked; ask for a new one")
        return frozenset(key.scopes)

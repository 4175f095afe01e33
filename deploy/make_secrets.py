"""Writes the secrets that docker-compose.yml names into a folder, each where it is missing: `make secrets`.

    python deploy/make_secrets.py [DIR]

DIR is `secrets` by default, which git ignores. What is there already stays, so that it can be run before each start.
Only the standard library is used.
"""

import base64
import json
import os
import secrets
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[1] / "secrets"
TO_FILL = ("pager_url", "tickets_url")
"""Addresses of incoming webhooks that only the operator knows; empty until filled in."""


def make(folder: Path) -> list[str]:
    """Makes the secrets that are missing; returns their names."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    made: list[str] = []

    def keep(name: str, text: str) -> str:
        path = folder / name
        if not path.exists():
            # Containers mount each file by itself and read it under users of their own: on this machine the
            # folder's mode keeps everybody else out, in the container the file's lets them in.
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444), "w") as file:
                file.write(text)
            path.chmod(0o644 if name in TO_FILL else 0o444)
            made.append(name)
        return path.read_text()

    neo4j = keep("neo4j_password", secrets.token_urlsafe(32))
    keep("neo4j_auth", f"neo4j/{neo4j}")
    database = keep("airflow_database_password", secrets.token_urlsafe(32))
    keep("airflow_database_url", f"postgresql+psycopg://airflow:{database}@airflow-database:5432/airflow")
    keep("airflow_fernet_key", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    keep("airflow_jwt_secret", secrets.token_urlsafe(48))
    keep("airflow_api_secret", secrets.token_urlsafe(48))
    keep("airflow_passwords", json.dumps({"admin": secrets.token_urlsafe(18)}))
    keep("grafana_password", secrets.token_urlsafe(18))
    for name in TO_FILL:
        keep(name, "")
    return made


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for new in make(target):
        sys.stdout.write(f"secrets: made {target / new}\n")
    for empty in TO_FILL:
        if not (target / empty).read_text().strip():
            sys.stdout.write(f"secrets: {target / empty} is empty: write the webhook that alerts go to into it\n")

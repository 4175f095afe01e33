"""docker-compose.yml says what the code, the files and the images have; and no secret is in what is committed."""

import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.make_secrets import TO_FILL, make
from graph.settings import Settings
from tests.deploy.composed import DOCKERFILE, FILE, ROOT, compose, lasting, services
from tests.deploy.files import ALERTMANAGER, GRAFANA, PROMETHEUS


def test_every_setting_of_quipu_in_it_is_one() -> None:
    known = {f"QUIPU_{name.upper()}" for name in Settings.model_fields}
    given = {name for service in services().values() for name in service.get("environment", {}) if "QUIPU" in name}
    assert given
    assert {name.removesuffix("_FILE") for name in given} <= known


def test_every_setting_of_airflow_in_it_is_one() -> None:
    found = importlib.util.find_spec("airflow")
    if found is None or not found.submodule_search_locations:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("Airflow is not installed")
    described = Path(next(iter(found.submodule_search_locations))) / "config_templates" / "config.yml"
    options = {
        (section, name): option
        for section, content in yaml.safe_load(described.read_text()).items()
        for name, option in content["options"].items()
    }
    given = {name for service in services().values() for name in service.get("environment", {}) if "AIRFLOW__" in name}
    assert given
    for variable in given:
        _, section, name = variable.lower().split("__")
        option = options[section, name.removesuffix("_cmd")]
        assert not name.endswith("_cmd") or option["sensitive"], f"{variable}: not an option that a command may give"


def test_every_file_that_is_mounted_exists_and_every_volume_is_declared() -> None:
    content = compose()
    mounted = {volume.split(":")[0] for service in services().values() for volume in service.get("volumes", ())}
    assert {name for name in mounted if not name.startswith(".")} == set(content["volumes"])
    assert not [path for path in mounted if path.startswith(".") and not (ROOT / path).exists()]


def test_every_secret_is_generated_and_reaches_who_reads_it(tmp_path: Path) -> None:
    content = compose()
    made = make(tmp_path)
    files = {name: Path(secret["file"]) for name, secret in content["secrets"].items()}
    assert {path.name for path in files.values()} == set(made)
    for name, service in services().items():
        own = set(service.get("secrets", ()))
        assert own <= files.keys(), name
        text = json.dumps([service.get("environment"), service.get("command")])
        assert set(re.findall(r"/run/secrets/(\w+)", text)) <= own, name
    assert set(re.findall(r"/run/secrets/(\w+)", ALERTMANAGER.read_text())) == set(
        services()["alertmanager"]["secrets"]
    )


def test_secrets_are_made_once_and_kept_from_others(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    names = make(folder)
    before = {name: (folder / name).read_text() for name in names}
    assert make(folder) == []
    assert {name: (folder / name).read_text() for name in names} == before
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(len(text) >= 24 for name, text in before.items() if name not in TO_FILL)
    assert before["neo4j_auth"] == f"neo4j/{before['neo4j_password']}"
    assert before["airflow_database_password"] in before["airflow_database_url"]
    other = tmp_path / "other"
    make(other)
    assert not {t for n, t in before.items() if n not in TO_FILL} & {(other / name).read_text() for name in names}


def test_no_secret_can_be_committed() -> None:
    given = [secret["file"] for secret in compose()["secrets"].values()]
    ran = subprocess.run(["git", "check-ignore", ".env", *given], cwd=ROOT, capture_output=True, text=True, check=False)
    assert set(ran.stdout.split()) == {".env", *given}, "these are not ignored by git"
    assert not re.search(r"(PASSWORD|SECRET|KEY)\w*(?<!_FILE)(?<!_CMD): *[^ \n]", FILE.read_text())


def test_what_goes_on_running_is_watched_and_started_again() -> None:
    for name, service in lasting().items():
        assert service.get("restart") == "unless-stopped", name
        check = service["healthcheck"]
        assert check["test"][0] in ("CMD", "CMD-SHELL"), name
        assert {"interval", "timeout", "retries", "start_period"} <= check.keys(), name


def test_whoever_waits_for_another_waits_for_something_that_comes() -> None:
    for name, service in services().items():
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_healthy" if other in lasting() else "service_completed_successfully"
            assert how["condition"] == wanted, f"{name} waits for {other}"


def test_images_are_pinned_and_ports_are_local() -> None:
    for name, service in services().items():
        assert re.search(r":v?\d+\.\d+\.?\d*[\w.-]*$", service["image"]), f"{name}: {service['image']}"
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert version is not None
    own = {service["image"] for service in services().values() if "build" in service}
    assert own == {f"quipu-service:{version[1]}", f"quipu-airflow:{version[1]}"}


def test_targets_of_prometheus_and_grafana_are_services() -> None:
    there = {f"{name}:{port.split(':')[-1]}" for name, s in services().items() for port in s.get("ports", ())}
    targets = [
        t for f in (PROMETHEUS / "targets").glob("*.yml") for e in yaml.safe_load(f.read_text()) for t in e["targets"]
    ]
    assert set(targets) <= there
    source = (GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text()
    (variable,) = re.findall(r"url: \$(\w+)", source)
    assert services()["grafana"]["environment"][variable].removeprefix("http://") in there
    (folder,) = re.findall(r"path: (\S+)", (GRAFANA / "provisioning" / "dashboards" / "quipu.yml").read_text())
    assert f"./deploy/grafana/dashboards:{folder}:ro" in services()["grafana"]["volumes"]


def test_images_have_every_package_and_what_the_makefile_has() -> None:
    text = DOCKERFILE.read_text()
    packages = re.findall(
        r'"(\w+)(?:\.\w+)?",?',
        re.findall(r"^packages = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.M | re.S)[0],
    )
    for part in re.split(r"^FROM ", text, flags=re.M):
        if "-build" in part.splitlines()[0]:
            assert set(re.findall(r"^COPY (\w+) \1$", part, re.M)) == set(packages)
    asked = {f"!{name}" for name in re.findall(r"^COPY (?!--from)(?:--\S+ )?(\w+) \w+$", text, re.M)}
    assert asked <= set((ROOT / ".dockerignore").read_text().splitlines())
    (uv,) = re.findall(r"^UV_VERSION := (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert f"ARG UV_VERSION={uv}\n" in text
    service = text[text.index("FROM lock AS service-build") : text.index("FROM lock AS airflow-build")]
    assert "--no-default-groups" in service and "--group" not in service
    for stage in re.split(r"^(?=FROM )", text, flags=re.M):
        if re.match(r"FROM base AS (service|airflow)", stage):
            assert re.search(r"^USER 10001:10001$", stage, re.M)
            assert re.search(r"^HEALTHCHECK ", stage, re.M)


def test_the_dockerfile_has_nothing_that_hadolint_minds() -> None:
    program = shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed; it is in no registry of operating systems, so CI may lack it, too")
    ran = subprocess.run([program, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0 and not ran.stdout, ran.stdout + ran.stderr


def test_compose_itself_finds_it_valid(tmp_path: Path) -> None:
    for command in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(command[0])
            and not subprocess.run([*command, "version"], capture_output=True, check=False).returncode
        ):
            break
    else:
        pytest.skip("Docker Compose is not installed; the other tests of this file read docker-compose.yml themselves")
    ran = subprocess.run(
        [*command, "--file", str(FILE), "--profile", "*", "config", "--format", "json"],
        capture_output=True, text=True, check=False, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert not ran.stderr
    assert set(json.loads(ran.stdout)["services"]) == set(services())

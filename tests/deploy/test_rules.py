"""Rules, routes and dashboards are sound, and name only what is told; everything is documented."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.files import (
    ALERTMANAGER,
    GRAFANA,
    PROMETHEUS,
    ROOT,
    RULES,
    alerts,
    all_queries,
    dashboards,
    panel_queries,
    recorded,
)
from tests.deploy.told import Told, family, metrics, series


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[Told]:
    return metrics(tmp_path_factory.mktemp("told"))


def run(*command: str | Path) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration_and_rules(promtool: str) -> None:
    run(promtool, "check", "config", PROMETHEUS / "prometheus.yml")
    run(promtool, "check", "rules", *RULES)


@pytest.mark.parametrize("file", sorted((PROMETHEUS / "tests").glob("*.yml")), ids=lambda path: path.stem)
def test_alerts_are_raised_when_they_should_and_only_then(promtool: str, file: Path) -> None:
    run(promtool, "test", "rules", file)


def test_every_alert_is_seen_raised_and_seen_silent() -> None:
    raised, silent = set(), set()
    for file in (PROMETHEUS / "tests").glob("*.yml"):
        for case in yaml.safe_load(file.read_text())["tests"]:
            for check in case["alert_rule_test"]:
                (raised if check["exp_alerts"] else silent).add(check["alertname"])
    assert raised == silent == set(alerts())


def test_alertmanager_takes_its_configuration_and_tells_by_severity(amtool: str) -> None:
    run(amtool, "check-config", ALERTMANAGER)
    for severity, receiver in {"critical": "pager", "warning": "tickets"}.items():
        run(amtool, "config", "routes", "test", f"--config.file={ALERTMANAGER}", f"--verify.receivers={receiver}",
            f"severity={severity}")  # fmt: skip


def test_alertmanager_has_no_secret() -> None:
    assert not re.search(r"^\s*-?\s*(?:\w*(?:password|token|secret|key|credentials)|api_url|url): ",
                         ALERTMANAGER.read_text(), re.M)  # fmt: skip


def test_every_alert_says_how_bad_it_is_and_where_to_read_on() -> None:
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in {"critical", "warning"}, name
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}, name
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{name.lower()}"


def test_every_alert_is_documented_and_every_documented_alert_there() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text()
    assert re.findall(r"^### (Quipu\w+)$", page, re.M) == list(alerts())


def test_queries_name_only_metrics_that_are_told(told: list[Told]) -> None:
    known = {each.name for each in told} | set(recorded()) | {"up"}
    wrong = [f"{place}: {name}" for place, text in all_queries() for name, _ in series(text)
             if name not in known and family(name) not in known]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def test_every_recorded_series_is_used() -> None:
    used = {name for place, text in all_queries() for name, _ in series(text) if place != name}
    assert set(recorded()) - used == set()


def test_every_metric_is_documented_and_every_documented_metric_told(told: list[Told]) -> None:
    rows = [f"| `{each.name}` | {each.kind} | {each.meaning} |" for each in told]
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert re.findall(r"^\| `quipu_.*$", page, re.M) == rows, "docs/metrics.md should have these rows:\n" + "\n".join(
        rows
    )


def test_pages_name_only_metrics_that_are_told(told: list[Told]) -> None:
    known = {each.name for each in told} | set(recorded())
    for page in (ROOT / "docs" / "alerts.md", ROOT / "docs" / "metrics.md"):
        for name in re.findall(r"`(quipu[_:][a-z0-9_:]+)`", page.read_text()):
            assert name in known, f"{page.name}: {name}"


def test_metrics_keep_to_the_conventions(told: list[Told]) -> None:
    for name, kind, meaning in told:
        assert re.fullmatch(r"quipu(_[a-z0-9]+)+", name), name
        assert name.endswith("_total") == (kind == "counter"), name
        assert meaning.endswith("."), name
        assert not re.search(r"_(ms|milliseconds|minutes|hours|days|percent|kb|mb)(_|$)", name), name


def test_bucket_edges_lie_on_the_objective() -> None:
    from api.metrics import Meters

    text = Meters()
    text.request("/v1/score", "POST", 200, 0.001)
    objectives = {edge for place, query in all_queries() for edge in re.findall(r'\ble="([^"]+)"', query)}
    assert objectives == {"0.025"}
    for edge in objectives:
        assert f'le="{edge}"' in text.exposition().decode()


def test_dashboards_can_be_provisioned() -> None:
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())
    (prometheus,) = source["datasources"]
    found = dashboards()
    assert {"quipu-service", "quipu-quality", "quipu-patterns", "quipu-owners"} <= set(found)
    for name, dashboard in found.items():
        assert dashboard["uid"] == name
        assert dashboard["title"]
        assert dashboard["schemaVersion"] >= 39
        assert "id" not in dashboard, "Grafana gives it"
        panels = dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            assert panel["type"] in {"timeseries", "stat", "bargauge", "heatmap"}
            assert panel["datasource"] == {"type": "prometheus", "uid": prometheus["uid"]}
            assert panel["title"]
            place = panel["gridPos"]
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert place["x"] + place["w"] <= 24
            assert not cells & taken, f"{name}: {panel['title']} overlaps"
            taken |= cells
            refs = [target["refId"] for target in panel["targets"]]
            assert refs
            assert len(set(refs)) == len(refs)


def test_panels_of_several_queries_can_be_told_apart() -> None:
    for name, dashboard in dashboards().items():
        for panel in dashboard["panels"]:
            legends = [target["legendFormat"] for target in panel["targets"]]
            assert len(set(legends)) == len(legends), f"{name}: {panel['title']}"
    assert panel_queries()

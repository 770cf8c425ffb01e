"""The dashboard and the alerts ask for what the operator really shows: evaluated by Prometheus over its exposition."""

import asyncio
import http.server
import json
import re
import subprocess
import threading
import urllib.error
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.cluster import debian
from tests.cluster.progress import Progress
from tests.driver.monitoring import Monitoring
from tests.driver.platform import wait_for
from tests.fakes.cluster import refuse_kind
from tests.integration.loop.stage import NAME, FakeStage
from tests.integration.loop.virtual import VirtualLoop

from tidegate.core.labels import ROUTE_KIND
from tidegate.core.reasons import Reason
from tidegate.ports import Manifest

CHART = Path(__file__).parents[3] / "charts" / "tidegate"
#: What Grafana puts in.
VARIABLES = {"$__rate_interval": "5s", "$namespace": ".*"}
#: What a scrape adds.
SCRAPED = frozenset({"job", "instance", "pod", "namespace", "le"})


async def eventful() -> str:
    """The exposition of an operator that saw much of what can happen: good and bad versions, hand edits, outages."""
    stage = FakeStage()
    await stage.open()
    try:
        first = await stage.serve()
        await stage.serves(first)
        second = stage.point()
        await stage.serves(second)

        def edit(route: Manifest) -> None:
            route["spec"]["hostnames"] = ["mine.example.com"]

        await stage.hand(stage.hands.edit(ROUTE_KIND, NAME, edit))
        bad = await stage.rolling(25)
        stage.faults.append(refuse_kind("Event"))
        stage.traffic.errors[bad] = 1.0
        await stage.reverted(bad)
        stage.registry.fail(Reason.REGISTRY_UNREACHABLE)
        await asyncio.sleep(20)
        stage.registry.fail(None)
        await stage.rolling(25)
        for pod in stage.evidence._pods.values():
            pod.mood = "garbled"
        await asyncio.sleep(20)
        assert stage.operator is not None
        metrics = stage.operator.metrics
        # Series of another object that waits for a person, beside the one that rolls out.
        metrics.stalled.show("ml/other", {Reason.GUARD_BREACHED.value: 1.0})
        metrics.alert_requests.labels(form="alertmanager", code="200")
        for result in ("delivered", "refused", "expired", "dropped"):
            metrics.notifications.labels(receiver="slack", result=result)
        return generate_latest(metrics.registry).decode()
    finally:
        await stage.close()


@contextmanager
def exposed(metrics: str) -> Iterator[str]:
    """`host:port` where Prometheus finds them."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = metrics.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's)
            """Nothing to standard error."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def metrics() -> str:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(eventful())


@pytest.fixture(scope="module")
def prometheus(metrics: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    directory = tmp_path_factory.mktemp("prometheus")
    monitoring = Monitoring(directory)
    with exposed(metrics) as target:
        monitoring.start()
        try:
            monitoring.scrape("tidegate", [target], pod="tidegate-0")
            query = "count_over_time(tidegate_queue_depth[1m]) >= 3"
            wait_for(lambda: bool(monitoring.prometheus.query(query)), seconds=30, what="three scrapes")
            yield monitoring
        finally:
            monitoring.stop()


def expressions() -> list[str]:
    """Every query of the dashboard."""
    dashboard = json.loads((CHART / "dashboards" / "tidegate.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((CHART / "rules" / "operator.yaml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def filled(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def series(metrics: str) -> Mapping[str, set[str]]:
    """Labels by the name of each sample that is really there."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


ASKED = [*expressions(), *(rule["expr"] for rule in rules())]


@pytest.mark.parametrize("expression", ASKED)
def test_every_name_and_label_is_one_that_the_operator_shows(expression: str, metrics: str) -> None:
    there = series(metrics)
    names = set(re.findall(r"\b(?:tidegate|process)_\w+", expression))
    assert names
    assert names <= set(there)
    own = set().union(*(there[name] for name in names)) | SCRAPED
    grouped = {
        label.strip() for group in re.findall(r"(?:by|on) \(([^)]*)\)", expression) for label in group.split(",")
    }
    matched = set(re.findall(r"[{,]\s*(\w+)(?:=~|!~|!=|=)", expression))
    assert grouped | matched <= own


@pytest.mark.parametrize("expression", expressions())
def test_every_query_of_the_dashboard_finds_something(expression: str, prometheus: Monitoring) -> None:
    asked = filled(expression)
    try:
        assert prometheus.prometheus.query(asked), f"nothing for {asked}"
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{asked}: {error.read().decode()}") from error


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = debian.unpack("prometheus", Progress()) / "usr" / "bin" / "promtool"
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_the_alerts_are_rules_that_prometheus_takes() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", str(CHART / "rules" / "operator.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_alert_on_the_operator_could_be_taken_for_one_that_reverts() -> None:
    for rule in rules():
        assert "modeldeployment" not in rule["labels"]
        assert not re.search(r"by \([^)]*\bmodeldeployment\b", rule["expr"])


#: The series of a trouble by the alert that it raises, and what of the alert's labels says whose it is.
TROUBLE: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "TidegateNoLeader": ({'tidegate_leader{job="t"}': "0x40"}, {"job": "t"}),
    "TidegateTwoLeaders": ({'tidegate_leader{job="t",pod="a"}': "1x40", 'tidegate_leader{job="t",pod="b"}': "1x40"},
                           {"job": "t"}),
    "TidegateRevertFailing": ({'tidegate_revert_failures_total{job="t"}': "0+3x40",
                               'tidegate_reverts_in_progress{job="t"}': "1x40"}, {"job": "t"}),
    "TidegateAlertsRefused": ({'tidegate_alert_requests_total{job="t",form="plain",code="401"}': "0+1x40"},
                              {"job": "t", "code": "401"}),
    "TidegateVersionRejected": ({'tidegate_stalled{namespace="ml",name="fraud",reason="GuardBreached"}': "1x40"},
                                {"namespace": "ml", "name": "fraud", "reason": "GuardBreached"}),
    "TidegateObjectStalled": ({'tidegate_stalled{namespace="ml",name="fraud",reason="AliasNotFound"}': "1x40"},
                              {"namespace": "ml", "name": "fraud", "reason": "AliasNotFound"}),
    "TidegateRegistryErrors": ({'tidegate_registry_errors_total{job="t",reason="RegistryUnreachable"}': "0+2x40"},
                               {"job": "t", "reason": "RegistryUnreachable"}),
    "TidegateEvidenceErrors": ({'tidegate_evidence_errors_total{job="t",source="pods"}': "0+60x40"},
                               {"job": "t", "source": "pods"}),
    "TidegatePartFails": ({'tidegate_part_failures_total{job="t",part="tags"}': "0+1x40"},
                          {"job": "t", "part": "tags"}),
    "TidegatePassesFail": ({'tidegate_reconciles_total{job="t",outcome="error"}': "0+5x40"}, {"job": "t"}),
    "TidegateAuditBehind": ({'tidegate_audit_behind{job="t"}': "1x40"}, {"job": "t"}),
    "TidegateAuditGap": ({'tidegate_audit_posts_total{job="t",result="lost"}': "0+1x40",
                          'tidegate_audit_events_total{job="t",result="lost"}': "0x40"}, {"job": "t"}),
    "TidegateQueueGrows": ({'tidegate_queue_depth{job="t"}': "90x40"}, {"job": "t"}),
}  # fmt: skip
#: An operator in order: nothing of it raises anything.
HEALTHY = {
    'tidegate_leader{job="t",pod="a"}': "1x40",
    'tidegate_leader{job="t",pod="b"}': "0x40",
    'tidegate_revert_failures_total{job="t"}': "7x40",
    'tidegate_reverts_in_progress{job="t"}': "0x40",
    'tidegate_registry_errors_total{job="t",reason="RegistryUnreachable"}': "4x40",
    'tidegate_registry_errors_total{job="t",reason="AliasNotFound"}': "0+2x40",
    'tidegate_evidence_errors_total{job="t",source="pods"}': "0+1x40",
    'tidegate_alert_requests_total{job="t",form="alertmanager",code="200"}': "0+9x40",
    'tidegate_reconciles_total{job="t",outcome="done"}': "0+100x40",
    'tidegate_reconciles_total{job="t",outcome="conflict"}': "0+10x40",
    'tidegate_audit_behind{job="t"}': "9 9 0 3 0x36",
    'tidegate_audit_events_total{job="t",result="written"}': "0+9x40",
    'tidegate_audit_events_total{job="t",result="lost"}': "0x40",
    'tidegate_audit_posts_total{job="t",result="lost"}': "0x40",
    'tidegate_audit_posts_total{job="t",result="delivered"}': "0+9x40",
    'tidegate_queue_depth{job="t"}': "90 90 0x38",
}


def said(text: str, labels: Mapping[str, str]) -> str:
    """An annotation as Prometheus fills it in."""
    return re.sub(r"{{ \$labels\.(\w+) }}", lambda found: labels[found[1]], text)


def raised(tmp_path: Path, given: Mapping[str, str], alerts: Mapping[str, Mapping[str, str]]) -> str:
    """What promtool has to say against these alerts, and no others of ours, being raised after half an hour."""
    by_name = {rule["alert"]: rule for rule in rules()}
    expected = []
    for name in by_name:
        entry: dict[str, Any] = {"eval_time": "30m", "alertname": name, "exp_alerts": []}
        if name in alerts:
            labels = {**by_name[name]["labels"], **alerts[name]}
            words = {key: said(text, alerts[name]) for key, text in by_name[name]["annotations"].items()}
            entry["exp_alerts"] = [{"exp_labels": labels, "exp_annotations": words}]
        expected.append(entry)
    test = {
        "rule_files": [str(CHART / "rules" / "operator.yaml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in given.items()],
                "alert_rule_test": expected,
            }
        ],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(test))
    done = promtool("test", "rules", str(file))
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_every_alert_has_its_trouble() -> None:
    assert set(TROUBLE) == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("alert", sorted(TROUBLE))
def test_a_trouble_raises_its_alert_and_no_other(alert: str, tmp_path: Path) -> None:
    given, labels = TROUBLE[alert]
    calm = {"tidegate_leader": {'tidegate_leader{job="t",pod="a"}': "1x40"}}
    leaders = {} if alert in {"TidegateNoLeader", "TidegateTwoLeaders"} else calm["tidegate_leader"]
    assert raised(tmp_path, {**leaders, **given}, {alert: labels}) == ""


def test_an_operator_that_is_gone_is_without_a_leader(tmp_path: Path) -> None:
    assert raised(tmp_path, {"up": "1x40"}, {"TidegateNoLeader": {}}) == ""


def test_an_operator_in_order_raises_nothing(tmp_path: Path) -> None:
    assert raised(tmp_path, HEALTHY, {}) == ""

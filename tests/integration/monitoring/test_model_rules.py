"""The examples of alerts on models, evaluated by promtool over series as the runtime shows them."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.cluster import debian
from tests.cluster.progress import Progress

from tidegate.core.values import safe_hash
from tidegate_runtime.metrics import Metrics

RULES = Path(__file__).parents[3] / "charts" / "tidegate" / "rules" / "models.yaml"
#: A name that looks like a revision's in its middle, and the pods of two revisions.
NAME = "fraud-v2-scorer"
STABLE, CANARY = (f"{NAME}-v{number}-{safe_hash(str(number))}" for number in (6, 7))


def pod(revision: str) -> str:
    return f"{revision}-5d9c7b8f6-x2x4z"


def answers(revision: str, code: str, values: str, **more: str) -> Mapping[str, str]:
    """Counts of answers of one pod."""
    labels = {"namespace": "ml", "pod": pod(revision), "code": code, **more}
    text = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return {f"tidegate_runtime_request_duration_seconds_{'bucket' if more else 'count'}{{{text}}}": values}


def ladder(revision: str, *, fast: str, all_of_them: str) -> Mapping[str, str]:
    """How many answers of one pod took at most one second, two, and any time at all."""
    edges = {"1": fast, "2": all_of_them, "+Inf": all_of_them}
    return {name: text for le, v in edges.items() for name, text in answers(revision, "2xx", v, le=le).items()}


def restarts(revision: str, container: str, values: str) -> Mapping[str, str]:
    """What kube-state-metrics tells of one pod."""
    whose = f'namespace="ml",pod="{pod(revision)}"'
    return {
        f'kube_pod_container_status_restarts_total{{{whose},container="{container}"}}': values,
        f'kube_pod_labels{{{whose},label_tidegate_dev_modeldeployment="{NAME}"}}': "1x160",
    }


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = debian.unpack("prometheus", Progress()) / "usr" / "bin" / "promtool"
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False, timeout=60)


WHOSE = {"namespace": "ml", "modeldeployment": NAME}
#: The series of a trouble by the alert that it raises, the alert's own labels, and its words.
TROUBLE: Mapping[str, tuple[Mapping[str, str], Mapping[str, str], str]] = {
    "ModelContainerRestarts": (
        {
            **restarts(CANARY, "model", "0+1x160"),
        },
        WHOSE,
        f"Containers of {NAME} were restarted 20 times in 5 minutes",
    ),
    "ModelErrorRate": (
        {
            **answers(STABLE, "2xx", "0+540x160"),
            **answers(CANARY, "2xx", "0+0x160"),
            **answers(CANARY, "5xx", "0+60x160"),
        },
        WHOSE,
        f"{NAME} fails 10% of its requests",
    ),
    "ModelLatency": (
        {
            **ladder(STABLE, fast="0+600x160", all_of_them="0+600x160"),
            **ladder(CANARY, fast="0+0x160", all_of_them="0+60x160"),
        },
        {**WHOSE, "revision": CANARY},
        f"{CANARY} answers 5% of its requests after 1.95s or later",
    ),
}  # fmt: skip
#: Models in order, or with so few requests that nothing follows from one failure.
HEALTHY: Mapping[str, Mapping[str, str]] = {
    "a few errors": {**answers(STABLE, "2xx", "0+590x160"), **answers(STABLE, "5xx", "0+10x160")},
    "hardly a request": {**answers(CANARY, "2xx", "0+1x160"), **answers(CANARY, "5xx", "0+1x160")},
    "quick answers": ladder(STABLE, fast="0+600x160", all_of_them="0+610x160"),
    "nothing asked": ladder(CANARY, fast="0x160", all_of_them="0x160"),
    "pods of others": {
        'tidegate_runtime_request_duration_seconds_count{namespace="ml",pod="a-b-c",code="2xx"}': "0+600x160",
        **restarts(STABLE, "sidecar", "0+9x160"),
    },
}


def said(tmp_path: Path, given: Mapping[str, str], alert: str = "") -> str:
    """What promtool has to say against this alert, and none of the others, being raised after half an hour."""
    expected = []
    for rule in rules():
        entry: dict[str, Any] = {"eval_time": "30m", "alertname": rule["alert"], "exp_alerts": []}
        if rule["alert"] == alert:
            _, labels, words = TROUBLE[alert]
            told = {"exp_labels": {**rule["labels"], **labels}, "exp_annotations": {"summary": words}}
            entry["exp_alerts"] = [told]
        expected.append(entry)
    series = [{"series": name, "values": values} for name, values in given.items()]
    test = {"interval": "15s", "input_series": series, "alert_rule_test": expected}
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": [test]}))
    done = promtool("test", "rules", str(file))
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_examples_are_rules_that_prometheus_takes() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_trouble() -> None:
    assert set(TROUBLE) == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("alert", sorted(TROUBLE))
def test_a_trouble_raises_its_alert_with_the_labels_by_which_it_reverts(alert: str, tmp_path: Path) -> None:
    given, labels, _ = TROUBLE[alert]
    assert labels.items() >= WHOSE.items()
    assert said(tmp_path, given, alert) == ""


@pytest.mark.parametrize("case", sorted(HEALTHY))
def test_models_in_order_raise_nothing(case: str, tmp_path: Path) -> None:
    assert said(tmp_path, HEALTHY[case]) == ""


def test_what_the_examples_ask_the_runtime_for_is_what_it_shows() -> None:
    metrics = Metrics(revision="r", version="7", started_at=1.0, clock=lambda: 0.0)
    metrics.finish(metrics.start(), 200)
    text = metrics.render().decode()
    there = {s.name: set(s.labels) for family in text_string_to_metric_families(text) for s in family.samples}
    asked = {name for rule in rules() for name in re.findall(r"\btidegate_\w+", rule["expr"])} - {"tidegate_dev"}
    ours = {name for name in asked if name.startswith("tidegate_runtime")}
    assert ours
    assert ours <= set(there)
    assert all("code" in there[name] for name in ours)

"""The exposition: names by Prometheus' rules, bounded series, and objects that vanish with their series."""

import re
import tomllib
from pathlib import Path

import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.core import builders as make

from tidegate import VERSION
from tidegate.core.reasons import Reason
from tidegate.telemetry import Metrics

ROOT = Path(__file__).parents[2]
REF = make.plan().ref


def shown(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    return {tuple(s.labels.values()): s.value for family in families for s in family.samples if s.name == name}


def test_names_are_prometheus_own_way() -> None:
    for family in text_string_to_metric_families(generate_latest(Metrics().registry).decode()):
        assert family.documentation.endswith("."), family.name
        if family.name.startswith(("process_", "python_")):
            continue
        assert re.fullmatch(r"tidegate_[a-z][a-z0-9_]*", family.name)
        assert family.type != "unknown"
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
        assert not re.search(r"_(ms|milliseconds|percent|count|sum|bucket)$", family.name)


def test_weights_add_up_and_follow_the_record() -> None:
    metrics = Metrics()
    metrics.weighed(REF, make.record())
    assert shown(metrics, "tidegate_weight_ratio") == {("fraud", "ml", "stable"): 0.95, ("fraud", "ml", "canary"): 0.05}
    metrics.weighed(REF, make.idle())
    assert shown(metrics, "tidegate_weight_ratio") == {("fraud", "ml", "stable"): 1.0, ("fraud", "ml", "canary"): 0.0}


def test_only_a_stalled_object_is_shown_as_one_and_under_one_reason() -> None:
    metrics = Metrics()
    metrics.stands(REF, Reason.ALIAS_NOT_FOUND, stalled=True)
    metrics.stands(REF, Reason.GUARD_BREACHED, stalled=True)
    assert shown(metrics, "tidegate_stalled") == {("fraud", "ml", "GuardBreached"): 1.0}
    metrics.stands(REF, Reason.UP_TO_DATE, stalled=False)
    assert shown(metrics, "tidegate_stalled") == {}


def test_the_series_of_an_object_that_is_gone_vanish() -> None:
    metrics = Metrics()
    metrics.weighed(REF, make.record())
    metrics.stands(REF, Reason.GUARD_BREACHED, stalled=True)
    metrics.forget(REF.key)
    metrics.forget(REF.key)
    assert "fraud" not in generate_latest(metrics.registry).decode()


def test_the_release_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    chart = yaml.safe_load((ROOT / "charts/tidegate/Chart.yaml").read_text())
    assert VERSION == project["version"] == str(chart["appVersion"])
    assert shown(Metrics(), "tidegate_build_info") == {(VERSION,): 1.0}

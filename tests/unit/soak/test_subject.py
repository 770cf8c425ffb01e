"""How the end of a rollout is read off the object, and the operator's metrics off its page."""

from typing import Any

import pytest
from prometheus_client import generate_latest
from tests.e2e.site import Look
from tests.soak.plan import End, Kind
from tests.soak.subject import end_of
from tests.soak.vitals import parse

from tidegate.telemetry import Metrics


def look(version: str, weights: dict[str, int] | None = None, *, ready: bool = True, **status: Any) -> Look:
    body = {
        "metadata": {"generation": 1},
        "status": {
            "observedGeneration": 1,
            "version": version,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False", "reason": "UpToDate"}],
            **status,
        },
    }
    backends = [{"name": f"m-v{v}-a", "weight": weight} for v, weight in (weights or {}).items()]
    return Look(body, {"spec": {"rules": [{"backendRefs": backends}]}})


@pytest.mark.parametrize("kind", list(Kind))
def test_a_version_is_promoted_when_it_serves_and_the_object_is_ready(kind: Kind) -> None:
    assert end_of("2", kind, look("2"), "1", acted=False) is End.PROMOTED
    assert end_of("2", kind, look("2", ready=False), "1", acted=False) is None
    assert end_of("2", kind, look("1"), "1", acted=False) is None


@pytest.mark.parametrize("kind", list(Kind))
def test_a_rejection_is_an_end_for_every_kind(kind: Kind) -> None:
    assert end_of("2", kind, look("1", rejected=[{"version": "2"}]), "1", acted=True) is End.REJECTED
    assert end_of("3", kind, look("1", rejected=[{"version": "2"}]), "1", acted=False) is None


def test_only_a_corrupt_version_ends_parked() -> None:
    parked = look("1", parked=[{"version": "2"}])
    assert end_of("2", Kind.CORRUPT, parked, "1", acted=False) is End.PARKED
    assert end_of("2", Kind.GOOD, parked, "1", acted=False) is None


def test_a_withdrawn_version_is_gone_when_the_one_before_has_everything_back() -> None:
    back = look("1", {"1": 100})
    assert end_of("2", Kind.WITHDRAWN, back, "1", acted=True) is End.BACK
    assert end_of("2", Kind.WITHDRAWN, back, "1", acted=False) is None
    under_way = look("1", {"1": 75, "2": 25}, rollout={"weight": 25})
    assert end_of("2", Kind.WITHDRAWN, under_way, "1", acted=True) is None


def test_the_operators_own_page_has_what_is_read() -> None:
    metrics = Metrics()
    metrics.tasks.set(17)
    metrics.leader.set(1)
    vital = parse(generate_latest(metrics.registry).decode(), pod="tidegate-x", at=5.0)
    assert vital.process.startswith("tidegate-x@")
    assert vital.leads
    assert vital.values["tasks"] == 17
    assert vital.values["rss"] > 2**20
    assert vital.values["fds"] > 2

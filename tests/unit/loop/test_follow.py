"""What the evidence is told of the world around a rollout."""

from typing import Any

import pytest
from tests.fakes.cluster import FakeCluster
from tests.fakes.evidence import FakeEvidence
from tests.fakes.models import FakeModels
from tests.fakes.prometheus import FakePrometheus
from tests.fakes.registry import FakeRegistry

from tidegate.adapters.clock import SteadyClock
from tidegate.core.labels import REVISION
from tidegate.loop.evidence import EvidenceWatch
from tidegate.loop.follow import Follower
from tidegate.loop.gates import GateWatch
from tidegate.loop.registries import Registries
from tidegate.loop.registry import RegistryPoll
from tidegate.loop.trials import TrialWatch
from tidegate.loop.words import LastWords
from tidegate.loop.world import World


def service(selector: dict[str, str] | None) -> dict[str, Any]:
    meta = {"name": "m-v7", "namespace": "ml", "uid": "s", "resourceVersion": "1", "labels": {REVISION: "m-v7"}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": selector}}


@pytest.mark.parametrize(
    ("selector", "diverted"),
    [({REVISION: "m-v7"}, False), ({REVISION: "m-v6"}, True), ({}, True), (None, True)],
)
async def test_a_service_that_selects_other_pods_than_its_own_is_diverted(
    selector: dict[str, str] | None, diverted: bool
) -> None:
    world, clock = World(), SteadyClock()
    evidence = EvidenceWatch(FakeEvidence(), FakePrometheus(), clock, on_breach=str, on_look=str)
    own = RegistryPoll(registry=FakeRegistry(), clock=clock, interval=1.0, on_change=list)
    fake = FakeRegistry()
    registries = Registries(
        own=own,
        own_writer=fake.writer,
        open=lambda _: fake,
        open_writer=lambda _: fake.writer,
        cluster=FakeCluster(),
        world=world,
        clock=clock,
        on_change=list,
    )
    gates = GateWatch(registries.describe, 1.0, on_change=str)
    follower = Follower(
        evidence=evidence,
        registries=registries,
        world=world,
        words=LastWords(None, str),
        gates=gates,
        trials=TrialWatch(FakeModels(), clock, on_change=str),
    )
    assert not follower._diverted("ml/m", "m-v7")
    world.put(service(selector))
    assert follower._diverted("ml/m", "m-v7") is diverted

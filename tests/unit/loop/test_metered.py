"""The meters on the ports pass everything through and count what was no answer."""

from tests.fakes.evidence import FakeEvidence
from tests.fakes.registry import FakeRegistry

from tidegate.core.plan import Pointer, PointerKind, Runtime
from tidegate.core.values import VersionId
from tidegate.loop.metered import MeteredEvidence, MeteredRegistry
from tidegate.telemetry import Metrics


async def test_a_read_of_the_registry_is_timed_and_its_errors_are_counted_once_a_read() -> None:
    registry, metrics = FakeRegistry(), Metrics()
    metered = MeteredRegistry(registry, metrics)
    registry.register("m")
    registry.set_alias("m", "champion", registry.add_version("m"))
    good = ("m", Pointer(kind=PointerKind.ALIAS, value="champion"))
    bad = [("m", Pointer(kind=PointerKind.ALIAS, value=name)) for name in ("a", "b")]
    answers = await metered.resolve([good, *bad])
    assert isinstance(answers[good], VersionId)
    assert metered.url == registry.url
    value = metrics.registry.get_sample_value
    assert value("tidegate_registry_errors_total", {"reason": "AliasNotFound"}) == 1
    assert value("tidegate_registry_request_duration_seconds_count") == 1
    await metered.close()


async def test_each_unreadable_pod_is_an_error_of_its_source() -> None:
    evidence, metrics = FakeEvidence(), Metrics()
    good, *others = [evidence.pod(name) for name in ("a", "b", "c")]
    for pod in others:
        pod.mood = "down"
    metered = MeteredEvidence(evidence, metrics, source="pods")
    targets = [pod.target for pod in (good, *others)]
    readings = await metered.read(targets, Runtime.TIDEGATE, None, timeout=0.1)
    assert readings == await evidence.read(targets, Runtime.TIDEGATE, None, timeout=0.1)
    assert metrics.registry.get_sample_value("tidegate_evidence_errors_total", {"source": "pods"}) == 2

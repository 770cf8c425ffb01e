"""Idle means silent: no write, no read but the registry's page and the list now and then; and status by its rules."""

import asyncio

from tests.fakes.cluster import refuse_kind
from tests.integration.loop.look import Look
from tests.integration.loop.stage import Stage

from tidegate.core.labels import KIND, ROUTE_KIND


async def state(stage: Stage) -> dict[str, str]:
    """The resourceVersion of everything."""
    kinds = (KIND, ROUTE_KIND, "Deployment", "Service", "ConfigMap", "ControllerRevision", "Pod", "EndpointSlice")
    bodies = [body for kind in kinds for body in await stage.hands.all(kind)]
    return {f"{body['kind']}/{body['metadata']['name']}": body["metadata"]["resourceVersion"] for body in bodies}


async def test_an_idle_object_costs_no_write_and_no_read_in_an_hour_and_none_at_a_restart(stage: Stage) -> None:
    first = await stage.serve()
    await stage.serves(first)
    await asyncio.sleep(60)
    assert stage.line is not None
    before, writes, reads = await state(stage), len(stage.writes), dict(stage.line.reads)
    await asyncio.sleep(500)
    assert stage.line.reads == reads  # the next list of everything comes after ten minutes
    await asyncio.sleep(3100)
    await stage.reborn()
    await asyncio.sleep(3600)
    assert stage.writes[writes:] == []
    assert await state(stage) == before


async def test_a_rejected_and_a_parked_object_are_as_silent(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(5)
    stage.traffic.errors[second] = 1.0
    await stage.reverted(second)
    await stage.alone(first)
    await asyncio.sleep(60)
    writes = len(stage.writes)
    await asyncio.sleep(3600)
    await stage.reborn()
    await asyncio.sleep(3600)
    assert stage.writes[writes:] == []


async def test_pods_are_read_only_while_a_rollout_is_under_way(stage: Stage) -> None:
    first = await stage.serve()
    await stage.serves(first)
    await asyncio.sleep(300)
    pods = stage.evidence._pods.values()
    assert sum(pod.reads for pod in pods) == 0
    second = stage.point()
    await stage.serves(second)
    reads = sum(pod.reads for pod in pods)
    assert reads > 0
    await asyncio.sleep(300)
    assert sum(pod.reads for pod in pods) == reads


async def test_findings_alone_are_written_every_ten_seconds_at_most(stage: Stage) -> None:
    guards = {"errorRate": {"max": "1%"}, "minRequests": 30, "interval": "250ms"}
    await stage.serve(stage.manifest(rollout={"weights": [50, 100], "hold": "300s"}, guards=guards))
    await stage.rolling(50)
    await asyncio.sleep(30)
    before = len(stage.writes)
    await asyncio.sleep(100)
    assert 5 <= len(stage.writes) - before <= 11
    assert {write.verb for write in stage.writes[before:]} == {"status"}
    finding = (await stage.look()).rollout["findings"][0]
    assert finding["samples"] > 1000
    assert finding["limit"] == "1%"


async def test_the_tests_state_is_saved_and_a_new_process_goes_on_with_it(stage: Stage) -> None:
    rollout = {"weights": [50, 100], "hold": "3000s"}
    await stage.serve(stage.manifest(rollout=rollout))
    second = await stage.rolling(50)
    await asyncio.sleep(60)
    await stage.reborn()
    await asyncio.sleep(20)
    judge = (await stage.look()).status["judge"]
    assert (judge["canary"], judge["attempt"]) == (await stage.named(second), 1)
    assert judge["judge"]["restarts"] == 0
    # What the pods had counted before is not counted again: of this life's twenty seconds there are some hundred.
    assert 50 < judge["judge"]["requests"] < 0.5 * stage.traffic.served[second]


async def test_status_follows_the_rules_of_kstatus_all_the_way(stage: Stage) -> None:
    wrong: list[str] = []

    async def watch() -> None:
        while True:
            await asyncio.sleep(0.5)
            check(await stage.look(), wrong)

    await stage.apply(stage.manifest())
    fresh = await stage.look()
    assert fresh.status == {}
    stage.spawn(watch())
    first = stage.point()
    stage.start()
    await stage.serves(first)
    second = stage.point()
    await stage.until(lambda look: look.reason("Reconciling") is not None, "reconciling")
    await stage.serves(second)
    third = await stage.rolling(25)
    stage.traffic.errors[third] = 1.0
    await stage.until(lambda look: look.reason("Stalled") is not None, "stalled")
    await stage.respec(rollout={"weights": [100]})
    look = await stage.until(
        lambda look: look.status["observedGeneration"] == look.body["metadata"]["generation"], "observed"
    )
    assert look.status["observedGeneration"] == 2
    assert wrong == []


def check(look: Look, wrong: list[str]) -> None:
    """One reading by the rules; an object that nobody has looked at yet has no status."""
    if not look.status:
        return
    types = [condition["type"] for condition in look.status["conditions"]]
    if len(types) != len(set(types)):
        wrong.append(f"twice: {types}")
    if look.reason("Reconciling") and look.reason("Stalled"):
        wrong.append("both reconciling and stalled")
    if look.ready and (look.reason("Reconciling") or look.reason("Stalled")):
        wrong.append(f"ready and {look.reason('Reconciling')} {look.reason('Stalled')}")
    if look.ready and look.weights != {look.version: 100}:
        wrong.append(f"ready with {look.weights}")
    if not isinstance(look.status["observedGeneration"], int):
        wrong.append("observedGeneration is no integer")
    for condition in look.status["conditions"]:
        if condition["status"] not in {"True", "False", "Unknown"} or not condition["reason"]:
            wrong += [str(condition)]


async def test_an_object_that_the_api_server_refuses_stalls_with_its_words_and_is_tried_again(stage: Stage) -> None:
    stage.point()
    stage.faults.append(refuse_kind("Deployment", "no such priority class"))
    await stage.apply(stage.manifest())
    stage.start()
    look = await stage.until(lambda look: look.reason("Stalled") == "ApplyFailed", "said")
    assert "no such priority class" in look.condition("Stalled")["message"]
    stage.faults.clear()
    await stage.serves("1")

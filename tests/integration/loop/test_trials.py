"""Requests of our own to a canary's pod before its first weight, by what clients, pods and the API server see."""

import asyncio
from typing import Any

from tests.fakes.models import FakeServer
from tests.integration.loop.look import Look
from tests.integration.loop.stage import MODEL, NAME, Stage

from tidegate.core.labels import KIND
from tidegate.core.reasons import Reason
from tidegate.core.trials import MALFORMED

EXAMPLE = '{"inputs": [[1.5]]}'
SAVED = "saved_input_example_info: {serving_input_path: serving_input_example.json}"
SMOKE: dict[str, Any] = {"smoke": {"timeout": "500ms"}}
BOTH = {**SMOKE, "throughput": {"min": 20, "duration": "2s", "concurrency": 2}}


def found(look: Look) -> dict[str, tuple[str, str]]:
    """What status says of each gate: outcome and message."""
    gates = look.status.get("gates") or {"findings": []}
    return {finding["gate"]: (finding["outcome"], finding["message"]) for finding in gates["findings"]}


def logged(stage: Stage, example: str | None = EXAMPLE) -> str:
    """One more version, logged with its input example, and the alias on it."""
    return stage.point(stage.registry.add_logged(MODEL, {}, SAVED if example else "flavors: {}", example=example))


def mood(word: str, seconds: float = 0.01) -> Any:
    """A model server's mood."""

    def change(server: FakeServer) -> None:
        server.mood, server.seconds = word, seconds

    return change


async def serving(stage: Stage, gates: dict[str, Any]) -> None:
    """A first version serves, and versions after it stand at these gates."""
    await stage.serve()
    await stage.respec(gates=gates)


async def test_a_version_answers_its_example_and_refuses_nonsense_before_its_first_weight(stage: Stage) -> None:
    await serving(stage, BOTH)
    second = logged(stage)
    look = await stage.rolling_of(second)
    assert {gate: outcome for gate, (outcome, _) in found(look).items()} == {
        "request": "Passed",
        "smoke": "Passed",
        "smoke.malformed": "Passed",
        "throughput": "Passed",
    }
    asked = await stage.sent_to(second)
    assert len(asked) == 1, "one pod alone is asked"
    assert asked[0][:2] == [("/invocations", EXAMPLE), ("/invocations", MALFORMED)]
    assert asked[0][2:] == [("/invocations", EXAMPLE)] * 40
    await stage.serves(second)
    assert stage.books.raises(second) == [5, 25, 50, 100]
    assert found(await stage.look())["smoke"][0] == "Passed"
    await stage.quiet()


async def test_a_first_version_is_tried_too_and_a_body_of_ones_own_needs_no_example(stage: Stage) -> None:
    own = {"request": {"path": "/invocations", "body": {"inputs": [[7]]}}}
    first = await stage.serve(stage.manifest(gates={**SMOKE, **own}))
    assert await stage.sent_to(first) == [[("/invocations", '{"inputs": [[7]]}'), ("/invocations", MALFORMED)]]
    await stage.quiet()


async def test_a_model_that_fails_on_its_example_is_rejected_without_a_request(stage: Stage) -> None:
    await serving(stage, SMOKE)
    second = logged(stage)
    stage.servers[second] = mood("broken")
    look = await stage.until(lambda look: second in look.rejected and not look.rollout, "it is rejected")
    assert look.rejected[second]["reason"] == Reason.GATE_FAILED
    assert look.rejected[second]["message"].startswith("smoke: the request was answered 500 in 10 ms")
    assert "it says: the model failed" in look.rejected[second]["message"]
    assert stage.traffic.served[second] == 0
    await stage.reborn()
    await asyncio.sleep(30.0)
    assert found(await stage.look())["smoke"][0] == "Failed"
    await stage.quiet()


async def test_a_slow_answer_and_a_server_that_takes_anything_are_rejected(stage: Stage) -> None:
    await serving(stage, SMOKE)
    second = logged(stage)
    stage.servers[second] = mood("up", seconds=3.0)
    look = await stage.until(lambda look: second in look.rejected, "the slow one is rejected")
    assert "answered 200 in 3 s, asked for is 2xx within 500 ms" in look.rejected[second]["message"]
    third = logged(stage)
    stage.servers[third] = mood("lenient")
    look = await stage.until(lambda look: third in look.rejected, "the lenient one is rejected")
    assert (
        look.rejected[third]["message"]
        == "smoke.malformed: a body that is no JSON was answered 200, asked for is a 4xx"
    )
    await stage.quiet()


async def test_too_little_throughput_is_rejected_after_a_bounded_load(stage: Stage) -> None:
    await serving(stage, BOTH)
    second = logged(stage)
    stage.servers[second] = mood("up", seconds=0.2)
    look = await stage.until(lambda look: second in look.rejected, "it is rejected")
    assert "2 at a time: " in look.rejected[second]["message"]
    assert "asked for is at least 20/s" in look.rejected[second]["message"]
    await stage.quiet()


async def test_a_pod_that_can_not_answer_yet_is_waited_for_and_parked_in_the_end(stage: Stage) -> None:
    first = await stage.serve()
    await stage.respec(gates=SMOKE, rollout={"weights": [5, 100], "hold": "30s", "progressDeadline": "2m"})
    second = logged(stage)
    stage.servers[second] = mood("starting")

    def waits(look: Look) -> bool:
        return "can't answer now: 503" in look.condition("Ready").get("message", "")

    look = await stage.until(waits, "it waits")
    assert look.condition("Ready")["reason"] == Reason.WAITING_FOR_GATES
    before = len(stage.writes)
    await asyncio.sleep(60.0)
    assert stage.writes[before:] == [], "waiting writes nothing"
    look = await stage.until(lambda look: bool(look.status.get("parked")), "it is parked")
    assert "can't answer now: 503" in look.status["parked"][0]["message"]
    assert look.named == {first} or look.weights.get(second, 0) == 0
    await stage.quiet()


async def test_a_pod_that_answers_in_the_end_goes_on(stage: Stage) -> None:
    await serving(stage, SMOKE)
    second = logged(stage)
    stage.servers[second] = mood("down")
    await stage.until(lambda look: "refused" in found(look).get("smoke", ("", ""))[1], "nobody listens")
    for server in stage.models.servers.values():
        server.mood = "up"
    await stage.serves(second)
    await stage.quiet()


async def test_a_version_without_an_example_is_rejected_before_a_pod_is_made(stage: Stage) -> None:
    await serving(stage, SMOKE)
    second = logged(stage, example=None)
    look = await stage.until(lambda look: second in look.rejected, "it is rejected")
    assert (
        "request: version 2 has no saved input example: log it with input_example" in look.rejected[second]["message"]
    )
    assert await stage.kubelet.pods(second) == []
    await stage.quiet()


async def test_requests_of_our_own_are_no_evidence(stage: Stage) -> None:
    """The load is slower than stable by far, and clients' errors are what nonsense gets."""
    await stage.serve()
    guards = {
        "clientErrors": {"maxRatio": "1"},
        "latency": [{"percentile": "95", "max": "50ms"}],
        "minRequests": 1,
        "interval": "5s",
    }
    await stage.respec(gates={"smoke": {"timeout": "5s"}, "throughput": {"min": 10, "duration": "20s"}}, guards=guards)
    second = logged(stage)
    stage.servers[second] = mood("up", seconds=0.3)
    await stage.serves(second)
    assert stage.books.raises(second) == [5, 25, 50, 100]
    counted = [pod.answers() for pod in stage.evidence.pods() if pod.answers("4xx")]
    assert counted, "the pod itself counted them"
    await stage.quiet()


async def test_an_operator_that_starts_anew_asks_again_and_holds_nothing_of_it_against_the_version(
    stage: Stage,
) -> None:
    await serving(stage, BOTH)
    second = logged(stage)
    await stage.until(lambda look: found(look).get("smoke", ("",))[0] == "Passed", "the first part has passed")
    await stage.reborn()
    await stage.rolling_of(second)
    await stage.reborn()
    await stage.serves(second)
    assert stage.books.raises(second) == [5, 25, 50, 100]
    await stage.quiet()


async def test_gates_that_are_edited_are_what_counts(stage: Stage) -> None:
    await serving(stage, SMOKE)
    second = logged(stage)
    stage.servers[second] = mood("starting")
    await stage.until(lambda look: "503" in found(look).get("smoke", ("", ""))[1], "it waits")
    await stage.hands.edit(KIND, NAME, lambda body: body["spec"].pop("gates"))
    await stage.serves(second)
    await stage.quiet()

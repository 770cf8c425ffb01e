"""Gates before traffic, by what clients and the API server see."""

import asyncio

from tests.integration.loop.look import Look
from tests.integration.loop.stage import MODEL, Stage

from tidegate.core.reasons import Reason

APPROVED = {"tags": {"validation_status": "approved"}}


def outcomes(look: Look) -> dict[str, str]:
    """What status says of each gate."""
    gates = look.status.get("gates") or {"findings": []}
    return {finding["gate"]: finding["outcome"] for finding in gates["findings"]}


async def waits(stage: Stage, reason: Reason = Reason.WAITING_FOR_GATES) -> Look:
    """The object says that it waits at its gates."""

    def told(look: Look) -> bool:
        return look.condition("Ready").get("reason") == reason

    return await stage.until(told, f"waits: {reason}")


async def test_a_version_without_its_tag_waits_unmade_and_goes_on_when_it_is_set(stage: Stage) -> None:
    first = await stage.serve()
    await stage.respec(gates=APPROVED)
    second = stage.point()
    look = await waits(stage)
    assert "no tag validation_status: set it to 'approved'" in look.condition("Ready")["message"]
    assert outcomes(look) == {"tags.validation_status": "Waiting"}
    assert await stage.kubelet.pods(second) == []
    assert look.named == {first}

    stage.registry.set_tag(MODEL, second, "validation_status", "approved")
    look = await stage.serves(second)
    assert stage.books.raises(second) == [5, 25, 50, 100]
    assert outcomes(look) == {"tags.validation_status": "Passed"}
    await stage.quiet()


async def test_a_first_version_waits_too_and_nothing_serves_before(stage: Stage) -> None:
    first = stage.point()
    await stage.apply(stage.manifest(gates=APPROVED))
    stage.start()
    look = await waits(stage)
    assert await stage.hands.all("Deployment") == []
    assert look.weights == {}
    stage.registry.set_tag(MODEL, first, "validation_status", "approved")
    await stage.serves(first)
    await stage.quiet()


async def test_a_tag_that_is_taken_back_while_pods_start_keeps_the_version_out(stage: Stage) -> None:
    await stage.serve(stage.manifest())
    await stage.respec(gates=APPROVED)
    stage.kubelet.boot = 30.0
    second = stage.registry.add_version(MODEL)
    stage.registry.set_tag(MODEL, second, "validation_status", "approved")
    stage.point(second)
    await stage.until(lambda look: second in look.named, "it starts")
    stage.registry.drop_tag(MODEL, second, "validation_status")
    look = await waits(stage)
    assert look.weights.get(second, 0) == 0
    stage.registry.set_tag(MODEL, second, "validation_status", "approved")
    await stage.serves(second)
    await stage.quiet()


async def test_a_registry_that_is_down_opens_no_gate_and_waiting_writes_nothing(stage: Stage) -> None:
    await stage.serve()
    await stage.respec(gates=APPROVED)
    second = stage.point()
    await waits(stage)
    before = len(stage.writes)
    await asyncio.sleep(100.0)
    assert stage.writes[before:] == []
    stage.registry.fail(Reason.REGISTRY_FAILING)
    stage.registry.set_tag(MODEL, second, "validation_status", "approved")
    await waits(stage, Reason.REGISTRY_FAILING)
    stage.registry.fail(None)
    await stage.serves(second)
    await stage.quiet()


async def test_an_operator_that_starts_anew_waits_on(stage: Stage) -> None:
    first = await stage.serve()
    await stage.respec(gates=APPROVED)
    second = stage.point()
    await waits(stage)
    await stage.reborn()
    await asyncio.sleep(60.0)
    look = await waits(stage)
    assert look.named == {first}
    stage.registry.set_tag(MODEL, second, "validation_status", "approved")
    await stage.serves(second)
    await stage.quiet()


LONG = """signature: {inputs: '[{"type": "long", "name": "amount"}]', outputs: null, params: null}"""
NARROW = LONG.replace("long", "integer")


async def test_a_signature_that_would_refuse_stables_requests_is_rejected_before_a_pod_is_made(stage: Stage) -> None:
    first = stage.registry.add_logged(MODEL, {"f1": 0.9}, LONG)
    stage.point(first)
    gates = {"signature": "Compatible", "metrics": [{"name": "f1", "min": "0.85"}]}
    await stage.apply(stage.manifest(gates=gates))
    stage.start()
    await stage.serves(first)
    second = stage.registry.add_logged(MODEL, {"f1": 0.9}, NARROW)
    stage.point(second)
    look = await stage.until(lambda look: second in look.rejected, "it is rejected")
    assert look.rejected[second]["reason"] == Reason.GATE_FAILED
    assert look.rejected[second]["message"] == "signature: input amount was long and is integer"
    look = await stage.until(lambda look: outcomes(look).get("signature") == "Failed", "it says which gate")
    assert outcomes(look)["metrics.f1"] == "Passed"
    assert await stage.kubelet.pods(second) == []
    assert look.named == {first}

    await stage.reborn()
    await asyncio.sleep(60.0)
    look = await stage.until(lambda look: look.reason("Stalled") == Reason.GATE_FAILED, "it stays rejected")
    assert outcomes(look)["signature"] == "Failed"
    third = stage.registry.add_logged(MODEL, {"f1": 0.5}, LONG)
    stage.point(third)
    look = await stage.until(lambda look: third in look.rejected, "so is one whose metric is too low")
    assert look.rejected[third]["message"].startswith("metrics.f1: f1 of version 3 is 0.5")
    fourth = stage.registry.add_logged(MODEL, {"f1": 0.95}, LONG)
    stage.point(fourth)
    await stage.serves(fourth)
    await stage.quiet()

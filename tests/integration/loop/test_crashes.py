"""The operator is killed at every write of a whole rollout and of a revert: the same end, and nobody notices."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.fakes.cluster import Crash, Fault, Phase, Write, crash_at, refuse_kind
from tests.fakes.models import FakeServer
from tests.integration.loop.stage import MODEL, NAME, FakeStage, Stage
from tests.integration.loop.test_candidates import challenge, held, settled

from tidegate.core.labels import REVISION, ROUTE_KIND
from tidegate.core.reasons import Reason

pytestmark = pytest.mark.long

HOLD = 15.0
#: Seconds from death to life.
DEAD = 3.0
Story = Callable[[Stage], Awaitable[None]]


async def rollout(stage: Stage) -> None:
    """From nothing to a first version, and on to a second one."""
    stage.traffic.rate = 100.0
    first = stage.point()
    await stage.apply(manifest(stage))
    stage.start()
    await stage.until(lambda look: look.ready and look.version == first, f"version {first} serves")
    second = stage.point()
    await stage.serves(second)
    assert stage.books.raises(second) == [20, 100]
    # The hold was not begun anew: at most what a new operator takes to see what the old one saw.
    held = [stage.books.when(second, 100) - stage.books.when(second, 20)]
    assert all(seconds < HOLD + DEAD + 13 for seconds in held), held
    look = await stage.look()
    assert [(entry["version"], entry["attempt"]) for entry in look.status["history"]] == [(first, 1), (second, 1)]
    await stage.quiet()


async def revert(stage: Stage) -> None:
    """A bad second version comes, and goes for good."""
    stage.traffic.rate = 100.0
    first = stage.point()
    await stage.apply(manifest(stage))
    stage.start()
    await stage.until(lambda look: look.ready and look.version == first, f"version {first} serves")
    stage.traffic.errors["2"] = 1.0
    second = stage.point()
    stage.asked = len(stage.writes)
    look = await stage.until(lambda look: second in look.rejected and look.named == {first}, "rejected")
    await stage.alone(first)
    assert stage.books.raises(second) == [20]
    assert look.weights == {first: 100}
    assert [entry["attempt"] for entry in look.status["history"]] == [1, 1]
    await stage.quiet()


async def diverted(stage: Stage) -> None:
    """The second version turns bad while the route can't be written, and leaves by its Service; the route follows."""
    stage.traffic.rate = 100.0
    first = stage.point()
    await stage.apply(manifest(stage))
    stage.start()
    await stage.until(lambda look: look.ready and look.version == first, f"version {first} serves")
    second = await stage.rolling(20)
    denied = refuse_kind(ROUTE_KIND)
    stage.asked = len(stage.writes)
    stage.faults.append(denied)
    stage.traffic.errors[second] = 1.0
    name = await stage.named(second)

    async def away() -> bool:
        service = await stage.hands.read("Service", name)
        return service is not None and service["spec"]["selector"] != {REVISION: name}

    end = asyncio.get_running_loop().time() + 60
    while not await away():
        assert asyncio.get_running_loop().time() < end, "never diverted"
        await asyncio.sleep(0.1)
    # From here on the version is well again, and nobody may see anything of it all the same.
    stage.traffic.errors.clear()
    await asyncio.sleep(DEAD + 1.5)
    served = stage.traffic.served[second]
    stage.faults.remove(denied)
    look = await stage.until(lambda look: second in look.rejected and look.named == {first}, "rejected")
    await stage.alone(first)
    assert stage.traffic.served[second] == served
    assert stage.books.raises(second) == [20]
    assert look.weights == {first: 100}
    assert [entry["attempt"] for entry in look.status["history"]] == [1, 1]
    await stage.quiet()


async def tried(stage: Stage) -> None:
    """The second version has to answer a request of our own before it gets others, and the third one fails at it."""
    stage.traffic.rate = 100.0
    first = stage.point()
    await stage.apply(manifest(stage, gates=SMOKE))
    stage.start()
    await stage.until(lambda look: look.ready and look.version == first, f"version {first} serves")
    stage.asked = len(stage.writes)
    second = stage.point()
    await stage.serves(second)
    assert stage.books.raises(second) == [20, 100]
    stage.servers["3"] = broken
    third = stage.point()
    look = await stage.until(lambda look: third in look.rejected and look.named == {second}, "rejected")
    await stage.alone(second)
    assert stage.books.raises(third) == []
    assert look.rejected[third]["reason"] == Reason.GATE_FAILED
    assert [entry["attempt"] for entry in look.status["history"]] == [1, 1, 1]
    # Two requests, and anew only where the answers died with the operator.
    assert 2 <= sum(map(len, await stage.sent_to(second))) <= 4
    await stage.quiet()


async def challenged(stage: Stage) -> None:
    """A challenger becomes champion, and the one after it is bad and loses its alias: the intents are writes, too."""
    stage.traffic.rate = 100.0
    first = stage.point()
    candidate = {"alias": "challenger", "onReject": {"removeAlias": True}}
    model = {"name": MODEL, "alias": "champion", "candidate": candidate, "writeBack": "None"}
    await stage.apply(manifest(stage, model=model))
    stage.start()
    await stage.until(lambda look: look.ready and look.version == first, f"version {first} serves")
    stage.asked = len(stage.writes)
    second = challenge(stage)
    await settled(stage, second)
    assert stage.books.raises(second) == [20, 100]
    assert (await held(stage)).aliases == {"champion": second}
    stage.traffic.errors["3"] = 1.0
    third = challenge(stage)
    await stage.until(lambda look: third in look.rejected and look.named == {second}, "rejected")
    await stage.until(lambda look: '"discards"' not in look.status["record"], "taken away")
    assert (await held(stage)).aliases == {"champion": second}
    assert stage.books.raises(third) == [20]
    await stage.quiet()


def broken(server: FakeServer) -> None:
    server.mood = "broken"


SMOKE = {"request": {"path": "/invocations", "body": {"inputs": [[7]]}}, "smoke": {"timeout": "500ms"}}


def manifest(stage: Stage, **spec: object) -> dict[str, object]:
    return stage.manifest(
        rollout={"weights": [20, 100], "hold": f"{HOLD:g}s"},
        guards={"errorRate": {"max": "1%"}, "minRequests": 20, "interval": "5s"},
        **spec,
    )


async def told(story: Story, *faults: Fault) -> FakeStage:
    """A story with these faults; an operator that dies is started again."""
    stage = FakeStage()
    stage.restarting(DEAD)
    stage.faults += faults
    await stage.open()
    try:
        await story(stage)
    finally:
        await stage.close()
    return stage


@pytest.mark.parametrize("story", [rollout, revert, diverted, tried, challenged])
async def test_killed_after_any_one_write_the_story_ends_the_same(story: Story) -> None:
    whole = await told(story)
    # What leads up to a revert is a rollout, whose every write has its own story.
    begin = 1 if story is rollout else whole.asked
    for number in range(begin, len(whole.writes) + 1):
        stage = await told(story, crash_at(number, "after" if number % 2 else "before"))
        # A write that meets a conflict has no moment after it, and the last ones are not waited for.
        assert stage.lives == 2 or number % 2 or number > len(whole.writes) - 5, number


def every(period: int, when: Phase) -> Fault:
    """Each life ends with its `period`-th write."""
    written = 0

    def fault(write: Write, phase: Phase) -> None:
        nonlocal written
        if phase == when:
            written += 1
            if written % period == 0:
                raise Crash(f"{when} {write}")

    return fault


@pytest.mark.parametrize(("period", "when"), [(16, "after"), (17, "before")])
async def test_killed_over_and_over_again_the_canary_still_gets_its_weights_in_order(period: int, when: Phase) -> None:
    """A life is a few writes long, too short to keep all of a hold; but nothing may go wrong."""
    stage = FakeStage()
    stage.restarting(DEAD)
    stage.faults.append(every(period, when))
    await stage.open()
    stage.traffic.rate = 100.0
    first = stage.point()
    await stage.apply(manifest(stage))
    stage.start()
    await stage.until(lambda look: look.weights == {first: 100}, "the first serves")
    second = stage.point()
    await stage.until(lambda look: look.weights == {second: 100}, "the second serves", 3000)
    await stage.until(lambda look: look.named == {second}, "the second serves alone", 3000)
    assert stage.books.raises(second) == [20, 100]
    assert stage.lives > 3
    await stage.quiet()
    await stage.close()


async def test_killed_while_a_revert_waits_for_the_api_server_the_next_life_writes_it(stage: Stage) -> None:
    first = await stage.serve()
    second = await stage.rolling(25)
    stage.traffic.errors[second] = 1.0
    await stage.kill()
    await asyncio.sleep(30)
    stage.start()
    look = await stage.reverted(second)
    assert look.weights == {first: 100}
    assert second in look.rejected


async def test_who_begins_to_lead_looks_at_what_rolls_before_all_others(stage: Stage) -> None:
    first = await stage.serve()
    for name in ("alpha", "beta", "zeta"):
        gateway = {"parentRefs": [{"name": "public"}], "hostnames": [f"{name}.test"]}
        other = stage.manifest(model={"name": MODEL, "version": first}, traffic={"gateway": gateway})
        await stage.hands.put({**other, "metadata": {**other["metadata"], "name": name}})
    await asyncio.sleep(60)
    await stage.rolling(5)
    await stage.kill()
    # Whatever order they are listed in.
    for kind in ("ModelDeployment", "HTTPRoute"):
        bodies = await stage.hands.all(kind)
        for body in sorted(bodies, key=lambda body: body["metadata"]["name"] == NAME):
            await stage.hands.edit(kind, body["metadata"]["name"], lambda _: None)
    stage.start()
    assert stage.operator is not None
    taken: list[str] = []
    done = stage.operator.queue.done
    stage.operator.queue.done = lambda key: taken.append(key) or done(key)  # type: ignore[method-assign]
    await asyncio.sleep(5)
    order = list(dict.fromkeys(key.partition("/")[2] for key in taken))
    assert order[0] == NAME
    assert set(order) == {NAME, "alpha", "beta", "zeta"}

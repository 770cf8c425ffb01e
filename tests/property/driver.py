"""What may happen in the world, by name, and seeded walks through it that often get to 100 %."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from tests.property.gatebooks import TRIALS
from tests.property.ledger import work
from tests.property.people import ASKING, PeopledWorld
from tests.property.world import BrokenInvariantError
from tests.unit.core import builders as make

VERDICTS = (
    "good",
    "bad",
    "silent",
    "none",
    "stale",
    "partial",
    "elsewhere",
    "suspected",
    "held",
    "undecided",
    "drifted",
    "observed",
)
WAITS = (0.1, 0.4, 3.0, 20.0, 61.0, 700.0, 4000.0)


def _toggle(field: str, on: object, off: object) -> Callable[[PeopledWorld, Random], None]:
    def flip(world: PeopledWorld, _: Random) -> None:
        setattr(world, field, off if getattr(world, field) == on else on)
        calm(world, 1)

    return flip


def _says(verdict: str) -> Callable[[PeopledWorld, Random], None]:
    def say(world: PeopledWorld, _: Random) -> None:
        world.evidence = verdict
        calm(world, 2)

    return say


def _gate(word: str) -> Callable[[PeopledWorld, Random], None]:
    """A new version comes to gates that say so, and time goes by."""

    def stand(world: PeopledWorld, random: Random) -> None:
        if random.random() < 0.5:
            world.points_at(world.newest + 1)
            if random.random() < 0.5:
                world.settle()
        world.gate = word
        calm(world, 3)

    return stand


def _trial(word: str) -> Callable[[PeopledWorld, Random], None]:
    """A new version's pod does so when it is asked, and time goes by."""

    def asked(world: PeopledWorld, random: Random) -> None:
        if random.random() < 0.5:
            world.points_at(world.newest + 1)
            if random.random() < 0.5:
                world.settle()
        world.trial = word
        calm(world, 3)
        if random.random() < 0.3:
            world.wait(random.choice(WAITS))
            world.settle()

    return asked


def _annotated(action: str) -> Callable[[PeopledWorld, Random], None]:
    return lambda world, _: world.annotate(action)


def _pause_for_a_while(world: PeopledWorld, random: Random) -> None:
    world.paused(spec=random.random() < 0.5)
    world.settle()
    world.wait(random.choice(WAITS))
    world.settle()
    world.paused(spec=True)
    calm(world, 2)


def _bad_in_bad_times(world: PeopledWorld, random: Random) -> None:
    """The canary turns bad just when something else breaks, or when nobody asks for it any more."""
    trouble = random.choice(("stable gone", "stable short", "registry", "withdrawn"))
    if trouble == "stable gone":
        world.stable_lost()
    elif trouble == "stable short":
        world.stable_short()
    elif trouble == "registry":
        world.registry_down = True
    else:
        world.points_back()
    world.evidence = random.choice(("bad", "good"))
    if world.evidence == "good":
        random.choice((world.canary_exits, world.canary_lost))()


def _promoted_without_nodes(world: PeopledWorld, _: Random) -> None:
    world.full = True
    world.annotate("promote")


def _bad_while_denied(world: PeopledWorld, random: Random) -> None:
    """The canary turns bad while the route can't be written, and well again; an operator may start anew meanwhile."""
    world.denied = True
    random.choice((world.canary_lost, world.points_back, lambda: setattr(world, "evidence", "bad")))()
    world.settle()
    world.evidence = "good"
    world.points_at(world.newest)
    world.kubelet_syncs()
    world.settle()
    world.wait(random.choice(WAITS))
    world.settle()
    world.denied = random.random() < 0.5


def _left_over(world: PeopledWorld, random: Random) -> None:
    """Everything is in order for a new version's first weight, but that its pods are those of an earlier Deployment."""
    world.points_at(world.newest + 1)
    world.settle()
    world.kubelet_syncs()
    world.canary_left_over()
    for _ in range(3):
        world.router_confirms()
        world.settle()
        world.wait(random.choice(WAITS))
        world.settle()


def _asked_and_waited(world: PeopledWorld, random: Random) -> None:
    """A new version comes to a step that asks, and the answer takes its time."""
    world.plan = replace(world.plan, steps=ASKING, revoke_reverts=random.random() < 0.5)
    world.points_at(world.newest + 1)
    calm(world, 6)
    world.wait(random.choice(WAITS))
    world.settle()
    world.wait(random.choice(WAITS))
    world.settle()
    if random.random() < 0.7:
        world.everybody_agrees()
        calm(world, 2)


def _asked_and_refused(world: PeopledWorld, random: Random) -> None:
    """As above, and somebody takes back what was granted."""
    _asked_and_waited(world, random)
    world.wait(random.choice(WAITS))
    world.says(random.choice((5, 50)), granted=False)
    world.settle()
    if random.random() < 0.5:
        world.words_deleted()
    calm(world, 3)


EVENTS: dict[str, Callable[[PeopledWorld, Random], None]] = {
    "new version": lambda w, _: w.points_at(w.newest + 1),
    "some version": lambda w, r: w.points_at(r.randint(1, w.newest)),
    "moved back": lambda w, _: w.points_back(),
    "registry": _toggle("registry_down", on=True, off=False),
    "router confirms": lambda w, _: w.router_confirms(),
    "kubelet": lambda w, _: w.kubelet_syncs(),
    "wait": lambda w, r: w.wait(r.choice(WAITS)),
    "stable lost": lambda w, _: w.stable_lost(),
    "canary lost": lambda w, _: w.canary_lost(),
    "canary exits": lambda w, _: w.canary_exits(),
    "canary left over": _left_over,
    "route deleted": lambda w, _: w.route_deleted(),
    "weights edited": lambda w, _: w.weights_edited(),
    "paused in spec": lambda w, _: w.paused(spec=True),
    "paused by annotation": lambda w, _: w.paused(spec=False),
    "serving edited": lambda w, _: w.serving_edited(),
    "steps edited": lambda w, _: w.steps_edited(),
    "approval asked": lambda w, _: w.approval_asked(revert=False),
    "approval asked, or revert": lambda w, _: w.approval_asked(revert=True),
    "approved": lambda w, r: w.says(r.choice((5, 50, 100)), granted=True),
    "refused by a person": lambda w, r: w.says(r.choice((5, 50, 100)), granted=False),
    "asked and waited": _asked_and_waited,
    "asked and refused": _asked_and_refused,
    "words deleted": lambda w, _: w.words_deleted(),
    "operator upgraded": lambda w, r: setattr(w, "preset", f"preset-{r.randint(1, 3)}"),
    "operator": _toggle("down", on=True, off=False),
    "killed": lambda w, _: None if w.down else (w.look() and None),
    "denied": _toggle("denied", on=True, off=False),
    "bad while denied": _bad_while_denied,
    "conflict": lambda w, _: setattr(w, "conflict", True),
    "taken": _toggle("taken_by", on="ml/older", off=None),
    "refused": _toggle("refusal", on="no such listener", off=None),
    **{f"gate {word}": _gate(word) for word in ("open", "pending", "unknown", "unasked", "shut")},
    **{f"trial {word}": _trial(word) for word in TRIALS},
    **{f"evidence {verdict}": _says(verdict) for verdict in VERDICTS},
    **{action: _annotated(action) for action in ("abort", "promote", "retry")},
    "alert": lambda w, r: w.alert(r.choice((0.0, 3.0, 30.0))),
    "old alert": lambda w, r: w.alert(r.choice((500.0, 5000.0))),
    "alert for a while": lambda w, r: w.alert(r.choice((0.0, 500.0)), lasts=r.choice((1.0, 70.0, 700.0))),
    "alert again": lambda w, _: w.alert_again(),
    "resolved": lambda w, _: w.resolve(),
    "dismissed": lambda w, _: w.dismiss(),
    "nodes full": _toggle("full", on=True, off=False),
    "drift reverts": lambda w, _: w.drift_edited(),
    "paused for a while": _pause_for_a_while,
    "bad in bad times": _bad_in_bad_times,
    "promoted without nodes": _promoted_without_nodes,
    "healed": lambda w, _: w.healed(),
}
#: What is worth trying while a canary has weight.
DANGERS = (
    *("bad in bad times",) * 3,
    *("bad while denied",) * 2,
    "denied",
    *(f"evidence {verdict}" for verdict in VERDICTS),
    "abort",
    "alert",
    "alert again",
    "alert for a while",
    "approved",
    "asked and refused",
    "canary exits",
    "canary lost",
    "conflict",
    "moved back",
    "nodes full",
    "operator",
    "paused for a while",
    "paused in spec",
    "promote",
    "promoted without nodes",
    "refused",
    "registry",
    "route deleted",
    "router confirms",
    "stable lost",
    "wait",
)
#: What a walk would otherwise do too seldom to get anywhere.
OFTEN = ("new version",) * 4 + ("retry",) * 3


def happen(world: PeopledWorld, name: str, random: Random) -> None:
    """One event, and the machine's answer to it."""
    world.log.append(name)
    EVENTS[name](world, random)
    world.settle()


def calm(world: PeopledWorld, moments: int, longest: float = 130.0) -> None:
    """Things go well for a while."""
    for _ in range(moments):
        world.log.append("good moment")
        world.good_moment(longest)


def comes_through(world: PeopledWorld) -> None:
    """Liveness: with everything in order, what is wanted becomes stable, through every step, unless it is rejected.

    A parked version may take its back-offs; a new one stands a pause.
    """
    world.healed()
    asked = work(make.revision(world.wanted, world.plan.serving))
    if asked not in world.ledger.rejected and world.ledger.failures.get(asked, 0) == 0:
        _becomes_stable(world, 120)
    world.points_at(world.newest + 1)
    calm(world, 1)
    world.router_confirms()
    world.settle()
    world.wait(10.0)
    world.settle()
    world.paused(spec=True)
    world.settle()
    world.wait(1000.0)
    world.settle()
    world.paused(spec=True)
    _becomes_stable(world, 60)


def _becomes_stable(world: PeopledWorld, moments: int) -> None:
    for _ in range(moments):
        world.good_moment(4000.0)
        if world.serves(world.wanted):
            return
    raise BrokenInvariantError(
        f"version {world.wanted} never became stable: {world.look().message}, after {world.log[-12:]}"
    )


def walk(world: PeopledWorld, random: Random, length: int) -> None:
    """A biased random walk that ends with everything in order."""
    names = [*sorted(EVENTS), *OFTEN]
    calm(world, 4)
    happen(world, "new version", random)
    for _ in range(length):
        calm(world, random.choice((0, 1, 1, 2)))
        rollout = world.record.rollout
        risky = rollout is not None and rollout.weight > 0
        for _ in range(random.choice((1, 1, 2, 3))):
            happen(world, random.choice(DANGERS if risky and random.random() < 0.5 else names), random)
        if random.random() < 0.5:
            world.mended()
    comes_through(world)

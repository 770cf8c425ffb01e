"""What a rollout waits for without anybody being at fault: pods, and the router's word."""

from tidegate.core.decision import Decision, Situation
from tidegate.core.reasons import Reason
from tidegate.core.record import Rollout

#: How long (seconds) a router may take before its silence is called a refusal.
ROUTER_PATIENCE = 30.0


def for_pods(s: Situation, rollout: Rollout) -> Decision | None:
    """The canary has fewer ready pods than its next weight takes; None where it has them."""
    facts, needed = s.facts(rollout.canary), s.pods_needed(rollout)
    if facts.lasting >= needed:
        return None
    why = f": {facts.obstacle.message}" if facts.obstacle else ""
    message = f"{facts.lasting} of {needed} pods of {rollout.canary.name} ready{why}"
    return s.stay(Reason.WAITING_FOR_PODS, message)


def for_router(s: Situation, rollout: Rollout) -> Decision | None:
    """The router has not confirmed the present weights; None where it has.

    Silence about weights that it never confirmed becomes a refusal after a while. A router that confirmed them before
    and is silent now (a neighbouring backend has left the route, say) is only waited for.
    """
    since = rollout.raised if rollout.raised is not None else rollout.started
    return unconfirmed(s, f"{rollout.weight}%", since=None if rollout.hold is not None else since)


def unconfirmed(s: Situation, what: str, *, since: float | None) -> Decision | None:
    """`what` waits for the router's confirmation, asked for at `since` (None: no patience is lost)."""
    if s.confirmed():
        return None
    refusal = s.seen.route.refusal if s.seen.route else None
    if refusal is not None:
        return s.stay(Reason.ROUTE_NOT_ACCEPTED, refusal, stalled=True)
    left = None if since is None else since + ROUTER_PATIENCE - s.now
    if left is not None and left <= 0:
        message = f"no gateway confirmed the route within {ROUTER_PATIENCE:g}s: check traffic.gateway.parentRefs"
        return s.stay(Reason.ROUTE_NOT_ACCEPTED, message, stalled=True)
    return s.stay(Reason.WAITING_FOR_ROUTE, f"{what}: waiting for the router to confirm", requeue=left)

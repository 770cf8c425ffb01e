"""How a `ModelRegistry` stands, by what it answered last."""

from tidegate.core.pointers import PASSING
from tidegate.core.reasons import Reason
from tidegate.core.report import Condition
from tidegate.core.values import Unavailable


def standing(fault: Unavailable | None) -> tuple[Condition, ...]:
    """The conditions of a registry by its newest answer: None for a good one."""
    if fault is None:
        reason, message = Reason.REGISTRY_ANSWERS, "the registry answers"
        return (
            Condition(type="Ready", status=True, reason=reason, message=message),
            Condition(type="Reconciling", status=False, reason=reason, message=""),
            Condition(type="Stalled", status=False, reason=reason, message=""),
        )
    reason = Reason(fault.reason)
    passing = reason in PASSING
    return (
        Condition(type="Ready", status=False, reason=reason, message=fault.message),
        Condition(type="Reconciling", status=passing, reason=reason, message=fault.message if passing else ""),
        Condition(type="Stalled", status=not passing, reason=reason, message="" if passing else fault.message),
    )

"""How a ModelRegistry stands, as kstatus reads it."""

import pytest

from tidegate.core.reasons import Reason
from tidegate.core.standing import standing
from tidegate.core.values import Unavailable


def told(reason: Reason) -> dict[str, tuple[bool | None, str]]:
    fault = Unavailable(reason=reason, message="why")
    return {condition.type: (condition.status, condition.message) for condition in standing(fault)}


@pytest.mark.parametrize(
    "reason", [Reason.REGISTRY_UNREACHABLE, Reason.REGISTRY_FAILING, Reason.REGISTRY_DATABASE_DOWN]
)
def test_what_passes_by_itself_is_waited_for(reason: Reason) -> None:
    assert told(reason) == {"Ready": (False, "why"), "Reconciling": (True, "why"), "Stalled": (False, "")}


@pytest.mark.parametrize(
    "reason",
    [
        Reason.REGISTRY_UNAUTHORIZED,
        Reason.REGISTRY_FORBIDDEN,
        Reason.REGISTRY_HOST_REFUSED,
        Reason.REGISTRY_NOT_TRUSTED,
        Reason.REGISTRY_NOT_MLFLOW,
        Reason.WORKSPACE_NOT_FOUND,
        Reason.REGISTRY_CREDENTIALS_MISSING,
        Reason.INVALID_SPEC,
    ],
)
def test_what_somebody_has_to_mend_is_stalled(reason: Reason) -> None:
    assert told(reason) == {"Ready": (False, "why"), "Reconciling": (False, ""), "Stalled": (True, "why")}


def test_a_registry_that_answers_is_ready() -> None:
    assert {condition.type: condition.status for condition in standing(None)} == {
        "Ready": True,
        "Reconciling": False,
        "Stalled": False,
    }
    assert {condition.reason for condition in standing(None)} == {Reason.REGISTRY_ANSWERS}

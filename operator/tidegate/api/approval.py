"""`ModelApproval`: a person's yes or no to one step of a rollout.

Who it is from is held to the API server's own `request.userInfo` by the chart's admission policy; nothing of it can be
changed afterwards. A later one takes the place of an earlier one.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tidegate.api.rules import Rule, Text, Wire
from tidegate.api.scalars import DeploymentName
from tidegate.api.spec import VersionNumber
from tidegate.api.status import USER
from tidegate.core.record import Approval

User = Annotated[
    str,
    Text(
        pattern=r"^[^\x00-\x1f\x7f]+$",
        max_length=USER,
        remedy=f"must be your user name as the API server knows it (kubectl auth whoami), at most {USER} characters",
    ),
]
#: A rule for a whole spec. The API server alone sees what was before; an object at rest holds it.
IMMUTABLE = Rule(
    cel="self == oldSelf",
    holds=lambda _: True,
    message="can't be changed once it was said: create another object, the later one counts",
)


class ApprovedStep(Wire):
    """One step of one attempt."""

    model_deployment: DeploymentName
    """Name of the ModelDeployment, in this namespace."""
    version: VersionNumber
    """Number of the model version that is rolled out."""
    attempt: Annotated[int, Field(ge=1, le=2**31 - 1)]
    """Which attempt, as status.rollout.attempt says."""
    weight: Annotated[int, Field(ge=1, le=100)]
    """The step's weight in per cent."""


class ApprovalSpec(Wire):
    """What somebody says."""

    rules = (IMMUTABLE,)

    approver: User
    """Who says it: your own user name, as in kubectl auth whoami. The API server refuses any other."""
    decision: Literal["Grant", "Refuse"]
    """Yes or no. A later Refuse takes a Grant back, and the other way round."""
    step: ApprovedStep
    """What it is about."""
    comment: Annotated[str, Field(max_length=1024)] | None = None
    """Why, for people."""


class ModelApproval(BaseModel):
    """A person's yes or no to one step of a rollout."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", frozen=True)

    spec: ApprovalSpec


def approved_object(body: Mapping[str, Any]) -> str | None:
    """The name of the `ModelDeployment` that an approval is about; None where it names none."""
    name = ((body.get("spec") or {}).get("step") or {}).get("modelDeployment")
    return name if isinstance(name, str) else None


def step_words(bodies: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Approval, ...]]:
    """What approvals say, by `<version>/<attempt>`. What is not one by today's rules says nothing."""
    found: dict[str, tuple[Approval, ...]] = {}
    for body in bodies:
        try:
            spec = ModelApproval.model_validate(body).spec
        except ValidationError:
            continue
        word = Approval(
            weight=spec.step.weight,
            granted=spec.decision == "Grant",
            approver=spec.approver,
            name=body["metadata"]["name"],
            at=datetime.fromisoformat(body["metadata"]["creationTimestamp"]).timestamp(),
        )
        attempt = f"{spec.step.version}/{spec.step.attempt}"
        found[attempt] = (*found.get(attempt, ()), word)
    return found

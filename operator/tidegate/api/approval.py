"""`ModelApproval`: a person's yes or no to one step of a rollout, or to one promotion.

Who it is from is held to the API server's own `request.userInfo` by the chart's admission policy; nothing of it can be
changed afterwards. A later one takes the place of an earlier one.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tidegate.api.rules import Rule, Text, Wire
from tidegate.api.scalars import DeploymentName, ObjectName
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


class ApprovedPromotion(Wire):
    """One promotion."""

    name: ObjectName
    """Name of the ModelPromotion, in this namespace."""
    uid: Annotated[str, Field(min_length=1, max_length=64)]
    """Its metadata.uid: another one under the same name was never approved."""


class ApprovalSpec(Wire):
    """What somebody says."""

    rules = (
        IMMUTABLE,
        Rule(
            cel="has(self.step) != has(self.promotion)",
            holds=lambda spec: (spec.step is None) != (spec.promotion is None),
            message="name what it is about: either step or promotion",
        ),
    )

    approver: User
    """Who says it: your own user name, as in kubectl auth whoami. The API server refuses any other."""
    decision: Literal["Grant", "Refuse"]
    """Yes or no. A later Refuse takes a Grant back, and the other way round."""
    step: ApprovedStep | None = None
    """What it is about: a step of a rollout."""
    promotion: ApprovedPromotion | None = None
    """What it is about: a promotion."""
    groups: Annotated[list[User], Field(min_length=1, max_length=32)] | None = None
    """Groups that you speak for, as in kubectl auth whoami, where the PromotionPolicy asks for some. The API server
    refuses any that you are not in."""
    comment: Annotated[str, Field(max_length=1024)] | None = None
    """Why, for people."""


class ModelApproval(BaseModel):
    """A person's yes or no to one step of a rollout, or to one promotion."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", frozen=True)

    spec: ApprovalSpec


def approved_object(body: Mapping[str, Any]) -> str | None:
    """The name of the `ModelDeployment` that an approval is about; None where it names none."""
    name = ((body.get("spec") or {}).get("step") or {}).get("modelDeployment")
    return name if isinstance(name, str) else None


def said_at(body: Mapping[str, Any]) -> float:
    """When an object was made, by the API server's clock: seconds since the epoch."""
    return datetime.fromisoformat(body["metadata"]["creationTimestamp"]).timestamp()


def step_words(bodies: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Approval, ...]]:
    """What approvals say, by `<version>/<attempt>`. What is not one by today's rules says nothing."""
    found: dict[str, tuple[Approval, ...]] = {}
    for body in bodies:
        try:
            spec = ModelApproval.model_validate(body).spec
        except ValidationError:
            continue
        if spec.step is None:
            continue
        word = Approval(
            weight=spec.step.weight,
            granted=spec.decision == "Grant",
            approver=spec.approver,
            name=body["metadata"]["name"],
            at=said_at(body),
        )
        attempt = f"{spec.step.version}/{spec.step.attempt}"
        found[attempt] = (*found.get(attempt, ()), word)
    return found

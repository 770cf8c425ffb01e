"""`RetrainingRequest`: people, or the operator, ask whoever trains models for another version."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from tidegate.api.acts import Acted, acted, asked_of, decided, entries_of, time_of
from tidegate.api.approval import IMMUTABLE, User, said_at
from tidegate.api.parse import reference
from tidegate.api.promotion import Comment
from tidegate.api.rules import Wire
from tidegate.api.scalars import DeploymentName
from tidegate.api.spec import ModelName, VersionNumber
from tidegate.core.reasons import Reason
from tidegate.core.requests import handing_acts
from tidegate.core.retraining import Cause, Handing, Order, Rejected


class RetrainingSpec(Wire):
    """What is asked for."""

    rules = (IMMUTABLE,)

    requested_by: User
    """Who asks: your own user name, as in kubectl auth whoami. The API server refuses any other."""
    model: ModelName
    """Name of the registered model."""
    version: VersionNumber | None = None
    """The version that is not good enough."""
    model_deployment: DeploymentName | None = None
    """The ModelDeployment of this namespace that it was tried in."""
    cause: Annotated[Cause, Field(strict=False)] = Cause.REQUESTED
    """Why: Requested by a person; RepeatedRejection or Drift (of predictions), where the operator asks."""
    comment: Comment | None = None
    """Why, for people, and for whoever trains."""


class RetrainingStatus(Acted):
    """How far it is. Delivered, Refused and Failed are final, and the API server lets nobody change them."""

    phase: Handing | None = None
    """Pending, Delivered (whoever trains has it), Refused (he says no) or Failed (he could not be reached)."""
    message: Annotated[str, Field(max_length=1024)] | None = None
    """The same for a person."""
    decided: datetime | None = None
    """When it became final."""


DECIDED = decided("RetrainingRequest", Handing, RetrainingStatus)


class RetrainingRequest(BaseModel):
    """Somebody asks for a model to be trained anew."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", frozen=True)

    spec: RetrainingSpec


def order_of(body: Mapping[str, Any]) -> Order:
    """What a `RetrainingRequest` asks for.

    Raises:
        ValidationError: it is none by today's rules.
    """
    spec = RetrainingRequest.model_validate(body).spec
    return Order(
        ref=reference(body),
        requester=spec.requested_by,
        model=spec.model,
        cause=spec.cause,
        at=said_at(body),
        version=spec.version,
        deployment=spec.model_deployment,
        comment=spec.comment or "",
    )


def rejected_of(body: Mapping[str, Any]) -> tuple[Rejected, ...]:
    """The attempts of a `ModelDeployment` that were rejected since the last promotion, oldest first, by its status."""
    status = body.get("status") or {}
    known = {(entry["version"], entry["attempt"]) for entry in status.get("rejected") or ()}
    found: list[Rejected] = []
    for past in status.get("history") or ():
        if past["reason"] == Reason.PROMOTED:
            found.clear()
        elif (past["version"], past["attempt"]) in known:
            at = datetime.fromisoformat(past["ended"]).timestamp()
            drifted = past["reason"] == Reason.PREDICTIONS_DRIFTED
            found.append(
                Rejected(
                    version=past["version"], attempt=past["attempt"], message=past["message"], at=at, drifted=drifted
                )
            )
    return tuple(found)


def request_for(body: Mapping[str, Any], requester: str, rejected: Sequence[Rejected]) -> dict[str, Any]:
    """The spec of the request that the operator makes for a `ModelDeployment`'s model after these rejections."""
    last, versions = rejected[-1], len({entry.version for entry in rejected})
    many = f"{versions} versions were rejected in a row, the last: " if versions > 1 else "the version was rejected: "
    spec = {
        "requestedBy": requester,
        "model": body["spec"]["model"]["name"],
        "version": last.version,
        "modelDeployment": body["metadata"]["name"],
        "cause": (Cause.DRIFT if last.drifted else Cause.REPEATED_REJECTION).value,
        "comment": f"{many}{last.message}"[:1024],
    }
    RetrainingSpec.model_validate(spec)
    return spec


def render_handing(body: Mapping[str, Any], phase: Handing, message: str, now: float) -> dict[str, Any]:
    """The status as JSON values, with what its write does in its journal."""
    was = Handing((body.get("status") or {}).get("phase") or Handing.PENDING)
    journal = handing_acts(asked_of(body), entries_of(body), was, phase, message, now=now)
    moment = time_of(now) if phase.final else None
    status = RetrainingStatus(phase=phase, message=message[:1024], decided=moment, **acted(body, journal))
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)

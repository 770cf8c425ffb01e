"""`ModelPromotion` and `PromotionPolicy`: who asks that a version goes from stage to stage, and what that takes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from tidegate.api.acts import Acted, acted, asked_of, decided, entries_of, seconds_of, time_of
from tidegate.api.approval import IMMUTABLE, ModelApproval, User, said_at
from tidegate.api.rules import Rule, Unique, Wire
from tidegate.api.scalars import ObjectName
from tidegate.api.spec import ModelName, VersionNumber
from tidegate.api.status import USER, Part
from tidegate.core.promotion import VOTES, Outcome, Path, Policy, Request, Stage, Standing, Vote, last_words
from tidegate.core.requests import Voice as Heard
from tidegate.core.requests import promotion_acts

Comment = Annotated[str, Field(max_length=1024)]
Group = Annotated[str, Field(min_length=1, max_length=USER)]


class PromotionRegistry(Wire):
    """Which registry it is in."""

    name: ObjectName
    """Name of a ModelRegistry of this namespace. Its account needs EDIT on the model."""


class PromotionSpec(Wire):
    """What is asked for."""

    rules = (
        IMMUTABLE,
        Rule(
            cel="self.from != self.to",
            holds=lambda spec: spec.from_ != spec.to,
            message="must be another stage than from",
            field="to",
        ),
    )

    requested_by: User
    """Who asks: your own user name, as in kubectl auth whoami. The API server refuses any other."""
    model: ModelName
    """Name of the registered model."""
    registry: PromotionRegistry | None = None
    """Which registry it is in; absent: the operator's own."""
    version: VersionNumber
    """Number of the version."""
    from_: Annotated[Stage, Field(alias="from", strict=False)]
    """The stage that it is in. Elsewhere by then, it is not moved."""
    to: Annotated[Stage, Field(strict=False)]
    """The stage that it shall be in. Production has one version: the others are archived in the same write."""
    comment: Comment | None = None
    """Why, for people."""


class Voice(Part):
    """What somebody said about it."""

    approver: Annotated[str, Field(max_length=USER)]
    """Who, as the API server knows him."""
    granted: bool
    """Whether he approved."""
    name: Annotated[str, Field(max_length=253)]
    """The ModelApproval."""
    time: datetime
    """When."""


class PromotionStatus(Acted):
    """How far it is. Done, Refused and Failed are final, and the API server lets nobody change them."""

    phase: Standing | None = None
    """Pending, Approved (being carried out), Done, Refused or Failed."""
    reason: Annotated[str, Field(max_length=128)] | None = None
    """Why, in one word of the vocabulary (docs/reference/reasons.md)."""
    message: Annotated[str, Field(max_length=1024)] | None = None
    """Why, for a person."""
    model_created: Annotated[int, Field(ge=0)] | None = None
    """When the registered model was made (ms since the epoch): one made anew under its name is another."""
    registry: Annotated[str, Field(max_length=2048)] | None = None
    """The server that it was begun in: one that the ModelRegistry names later is another."""
    approvals: Annotated[list[Voice], Field(max_length=VOTES)] | None = None
    """The last word of each approver, oldest first."""
    decided: datetime | None = None
    """When it became final."""


DECIDED = decided("ModelPromotion", Standing, PromotionStatus)


class ModelPromotion(BaseModel):
    """Somebody asks that a version goes from one stage of the registry to another."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", frozen=True)

    spec: PromotionSpec


class PolicyPath(Wire):
    """A way from stage to stage."""

    from_: Annotated[Stage, Field(alias="from", strict=False)]
    """Where it begins."""
    to: Annotated[Stage, Field(strict=False)]
    """Where it ends."""
    approvals: Annotated[int, Field(ge=0, le=10)] = 1
    """How many people have to approve; whoever asks is none of them."""
    groups: Annotated[list[Group], Field(min_length=1, max_length=16)] | None = None
    """Groups of which each approver has to be in one, as the API server knows them. Absent: anybody with the right to
    create ModelApprovals."""


class PolicySpec(Wire):
    """What promotions take. A path that is not here is refused; of several policies every one has to agree."""

    models: Annotated[list[ModelName], Unique(), Field(min_length=1, max_length=64)] | None = None
    """The registered models that it is about; absent: all that promotions of this namespace name."""
    paths: Annotated[list[PolicyPath], Field(min_length=1, max_length=16)]
    """The ways that are allowed."""


class PromotionPolicy(BaseModel):
    """What promotions of a namespace take: which paths there are, and who has to agree."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", frozen=True)

    spec: PolicySpec


def request_of(body: Mapping[str, Any]) -> Request:
    """What a `ModelPromotion` asks for.

    Raises:
        ValidationError: it is none by today's rules.
    """
    spec = ModelPromotion.model_validate(body).spec
    return Request(
        requester=spec.requested_by, model=spec.model, version=spec.version, source=spec.from_, target=spec.to
    )


def registry_of(body: Mapping[str, Any]) -> str | None:
    """The ModelRegistry (`namespace/name`) that a `ModelPromotion` names, None for the operator's own registry."""
    named = ((body.get("spec") or {}).get("registry") or {}).get("name")
    return f"{body['metadata']['namespace']}/{named}" if named else None


def policy_of(body: Mapping[str, Any], model: str, *, from_: str) -> Policy | None:
    """What a `PromotionPolicy` says of a model that a namespace wants to promote, None where it is about others.

    One of another namespace says something only of the models that it names, also where it can't be read: nobody can
    stop the promotions of others by a policy that is none.

    Raises:
        ValidationError: it is none by today's rules.
    """
    meta, named = body["metadata"], (body.get("spec") or {}).get("models")
    foreign = meta["namespace"] != from_
    if foreign and not (isinstance(named, list) and model in named):
        return None
    spec = PromotionPolicy.model_validate(body).spec
    if spec.models is not None and model not in spec.models:
        return None
    paths = tuple(
        Path(source=path.from_, target=path.to, approvals=path.approvals, groups=tuple(path.groups or ()))
        for path in spec.paths
    )
    return Policy(name=f"{meta['namespace']}/{meta['name']}" if foreign else meta["name"], paths=paths)


def vote_of(body: Mapping[str, Any], promotion: Mapping[str, Any]) -> Vote | None:
    """What a `ModelApproval` says of a `ModelPromotion`, None where it is about something else.

    Raises:
        ValidationError: it is none by today's rules.
    """
    about, meta = (body.get("spec") or {}).get("promotion") or {}, promotion["metadata"]
    if (about.get("name"), about.get("uid")) != (meta["name"], meta["uid"]):
        return None
    spec = ModelApproval.model_validate(body).spec
    return Vote(
        approver=spec.approver,
        granted=spec.decision == "Grant",
        name=body["metadata"]["name"],
        at=said_at(body),
        groups=tuple(spec.groups or ()),
    )


def heard_of(body: Mapping[str, Any]) -> tuple[Heard, ...]:
    """The last word of each approver as the status of a `ModelPromotion` has it, oldest first."""
    found = (body.get("status") or {}).get("approvals") or ()
    return tuple(
        Heard(approver=one["approver"], granted=one["granted"], name=one["name"], at=seconds_of(one["time"]))
        for one in found
    )


def render_promotion(
    body: Mapping[str, Any],
    outcome: Outcome,
    votes: Sequence[Vote],
    *,
    begun: tuple[str, int] | None,
    now: float,
) -> dict[str, Any]:
    """The status as JSON values, with what its write does in its journal.

    `votes` are all that were ever said about it and are still there; `begun` is the server that it was begun in, and
    when the registered model was made there (ms since the epoch).
    """
    asked = asked_of(body)
    was = Standing((body.get("status") or {}).get("phase") or Standing.PENDING)
    journal = promotion_acts(asked, entries_of(body), (was, heard_of(body)), outcome, votes, now=now)
    last = [vote for vote in last_words(votes) if vote.approver != asked.requester][-VOTES:]
    status = PromotionStatus(
        phase=outcome.standing,
        reason=outcome.reason,
        message=outcome.message[:1024],
        model_created=begun[1] if begun is not None else None,
        registry=begun[0] if begun is not None else None,
        approvals=[
            Voice(approver=vote.approver, granted=vote.granted, name=vote.name, time=time_of(vote.at)) for vote in last
        ]
        or None,
        decided=time_of(now) if outcome.standing.final else None,
        **acted(body, journal),
    )
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)

"""Promotions in the registry that people ask for: which path is allowed, who has to agree, and what is left to do.

Pure: the loop reads and writes. What is decided is in the promotion's status before the registry is written, so that
whoever comes after a crash finds the intent and looks how far it got.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tidegate.core.reasons import Reason
from tidegate.core.registered import RegisteredModel
from tidegate.core.values import Unavailable


class Stage(StrEnum):
    """The stages of an MLflow registry."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"


class Standing(StrEnum):
    """How far a promotion is. The last three are final."""

    PENDING = "Pending"
    APPROVED = "Approved"  # its intent: what is being done in the registry
    DONE = "Done"
    REFUSED = "Refused"
    FAILED = "Failed"

    @property
    def final(self) -> bool:
        """Whether nothing will ever change it."""
        return self in {Standing.DONE, Standing.REFUSED, Standing.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody asks for: that a version goes from one stage to another."""

    requester: str
    model: str
    version: str
    source: Stage
    target: Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One person's yes or no to one promotion, and the groups that the API server knows him to be in."""

    approver: str
    granted: bool
    name: str
    at: float
    groups: tuple[str, ...] = ()


#: Approvers whose last word a status has room for, the newest ones.
VOTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A way from stage to stage: how many have to approve, each of them in one of the groups where some are named."""

    source: Stage
    target: Stage
    approvals: int = 0
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The paths that a model may take; `name` is the `PromotionPolicy`, empty for what holds without one."""

    name: str
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Where a promotion stands, and why."""

    standing: Standing
    reason: Reason
    message: str


#: What holds where no policy is about a model.
DEFAULT = Policy(
    name="",
    paths=(
        Path(source=Stage.NONE, target=Stage.STAGING),
        Path(source=Stage.STAGING, target=Stage.PRODUCTION, approvals=1),
        Path(source=Stage.PRODUCTION, target=Stage.ARCHIVED, approvals=1),
    ),
)


def standing_votes(request: Request, votes: Sequence[Vote]) -> tuple[Vote, ...]:
    """The last word of each approver, oldest first; in one second, the refusal. A requester has no voice."""
    return last_words([vote for vote in votes if vote.approver != request.requester])


def last_words(votes: Sequence[Vote]) -> tuple[Vote, ...]:
    """The last word of each, oldest first."""
    newest = {vote.approver: vote for vote in sorted(votes, key=moment)}
    return tuple(sorted(newest.values(), key=moment))


def judged(request: Request, policies: Sequence[Policy], votes: Sequence[Vote]) -> Outcome:
    """What policies and people say; `APPROVED` where it may be carried out. Every policy has to agree."""
    way = f"{request.source} to {request.target}"
    heard = standing_votes(request, votes)
    missing: list[str] = []
    for policy in policies or (DEFAULT,):
        path = next((p for p in policy.paths if (p.source, p.target) == (request.source, request.target)), None)
        said = f"PromotionPolicy {policy.name}" if policy.name else "the default policy"
        if path is None:
            allowed = ", ".join(f"{p.source} to {p.target}" for p in policy.paths)
            message = f"{said} has no path from {way}; it has: {allowed}"
            return Outcome(standing=Standing.REFUSED, reason=Reason.PATH_NOT_ALLOWED, message=message)
        lacking = path.approvals - sum(1 for vote in heard if vote.granted and _entitled(vote, path))
        if lacking > 0:
            among = f" of {' or '.join(path.groups)}" if path.groups else ""
            missing.append(f"{lacking} more{among} ({said})")
    refused = _refused(heard)
    if refused is not None:
        return refused
    if missing:
        message = f"waits for approval: {'; '.join(missing)}"
        return Outcome(standing=Standing.PENDING, reason=Reason.WAITING_FOR_APPROVAL, message=message)
    granted = ", ".join(vote.approver for vote in heard) or "nobody has to"
    return Outcome(standing=Standing.APPROVED, reason=Reason.APPROVED, message=f"{way}, approved: {granted}")


def revoked(request: Request, model: RegisteredModel | Unavailable, votes: Sequence[Vote]) -> Outcome | None:
    """What a refusal makes of a promotion that was approved before it; None without one, or where it came too late.

    While the version is still where it came from nothing has happened that would have to be undone. Where that can't be
    read nothing is written either, so it is asked again.
    """
    found = model.version(request.version) if isinstance(model, RegisteredModel) else None
    return _refused(standing_votes(request, votes)) if found is not None and found.stage == request.source else None


def _refused(heard: Sequence[Vote]) -> Outcome | None:
    refused = next((vote for vote in reversed(heard) if not vote.granted), None)
    if refused is None:
        return None
    message = f"{refused.approver} refused ({refused.name}); ask again with another ModelPromotion"
    return Outcome(standing=Standing.REFUSED, reason=Reason.APPROVAL_REFUSED, message=message)


def reached(request: Request, model: RegisteredModel | Unavailable) -> Outcome:
    """How far an approved promotion is by the registry: `APPROVED` where the version is still where it came from."""
    if isinstance(model, Unavailable):
        reason = Reason(model.reason)
        final = Standing.FAILED if reason is Reason.MODEL_NOT_FOUND else Standing.APPROVED
        return Outcome(standing=final, reason=reason, message=model.message)
    found = model.version(request.version)
    named = f"version {request.version} of {request.model}"
    if found is None:
        return Outcome(standing=Standing.FAILED, reason=Reason.VERSION_NOT_FOUND, message=f"there is no {named}")
    if found.stage == request.target and (request.target is not Stage.PRODUCTION or _alone(request, model)):
        return Outcome(standing=Standing.DONE, reason=Reason.MOVED, message=f"{named} is in {request.target}")
    if found.stage in {request.source, request.target}:
        return Outcome(standing=Standing.APPROVED, reason=Reason.APPROVED, message=f"{named} is being moved")
    message = f"{named} is in {found.stage} by now, not in {request.source}: somebody else moved it"
    return Outcome(standing=Standing.FAILED, reason=Reason.MOVED_ELSEWHERE, message=message)


def _alone(request: Request, model: RegisteredModel) -> bool:
    return model.within(request.target) == (request.version,)


def _entitled(vote: Vote, path: Path) -> bool:
    return not path.groups or bool(set(vote.groups) & set(path.groups))


def moment(vote: Vote) -> tuple[float, bool, str]:
    """What votes are sorted by: their time, and in one second a refusal after a yes."""
    return vote.at, not vote.granted, vote.name

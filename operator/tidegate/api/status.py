"""The status of a `ModelDeployment`: for people, `kubectl wait`, Helm, Argo CD and Flux (kstatus) alike."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tidegate.core.gates import Outcome
from tidegate.core.guards import Mode, Verdict
from tidegate.core.report import Phase

#: How many entries a list in status keeps, newest last.
MEMORY = 50
#: The longest message in a list, in characters.
MESSAGE = 1024
#: The longest value or limit of a gate's finding, in characters.
WORDS = 256
#: The longest message of a condition, as everywhere in Kubernetes.
CONDITION_MESSAGE = 32768
#: The longest record, in characters.
RECORD = 262144

#: Characters of a revision's name, as of a Service; and revisions that a rule of a route may name.
NAME = 63
BACKENDS = 16
#: Digits of a version's number.
NUMBER = 9
#: Characters of a user's name as the API server knows him: of the longest that a ServiceAccount can have, and more.
USER = 384
_Name = Annotated[str, Field(max_length=NAME)]
_Number = Annotated[str, Field(max_length=NUMBER)]
_ReasonWord = Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
_Message = Annotated[str, Field(max_length=MESSAGE)]
_Words = Annotated[str, Field(max_length=WORDS)]
_Percent = Annotated[str, Field(max_length=16)]
_Share = Annotated[int, Field(ge=0, le=100)]


class Part(BaseModel):
    """Base of all parts of a status."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, use_attribute_docstrings=True
    )


class Condition(Part):
    """One aspect of the object's state, by the Kubernetes API conventions."""

    type: Annotated[str, Field(max_length=316)]
    """Ready, Reconciling, Stalled, Available, ModelResolved, EvidenceAvailable or RouteAccepted."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: _ReasonWord
    """Why, in one word of the vocabulary (docs/reference/reasons.md)."""
    message: Annotated[str, Field(max_length=CONDITION_MESSAGE)]
    """Why, for a person, with the way out where there is one."""
    last_transition_time: datetime
    """When the status changed last."""
    observed_generation: Annotated[int, Field(ge=0)]
    """The generation of the spec that this was said of."""


class Stable(Part):
    """The revision that serves."""

    revision: _Name
    """Name of the revision, and of its Deployment and Service."""
    version: _Number
    """Number of the model version."""
    model: Annotated[str, Field(max_length=256)]
    """Name of the registered model."""


class Finding(Part):
    """What one guard found at the newest look."""

    guard: Annotated[str, Field(max_length=64)]
    """The guard's place in spec.guards, such as errorRate.max."""
    mode: Mode
    """Whether a breach takes the new version off traffic."""
    verdict: Verdict
    """What the evidence says."""
    weight: Annotated[int, Field(ge=0, le=100)] | None = None
    """The weight at which it was found: right after a raise that of the step before, 0 before one was confirmed."""
    value: _Percent | None = None
    """The share of bad requests that was found."""
    limit: _Percent | None = None
    """The share that is allowed."""
    bad: Annotated[int, Field(ge=0)]
    """Bad requests."""
    samples: Annotated[int, Field(ge=0)]
    """Requests that were judged."""
    message: _Message
    """All of it for a person."""


class Sentence(Part):
    """Why a rollout goes back."""

    reason: _ReasonWord
    """The cause."""
    message: _Message
    """The cause for a person."""
    rejects: bool
    """Whether the version is not tried again by itself."""
    time: datetime
    """When it was decided."""


class Approval(Part):
    """What somebody said about one step of the rollout."""

    weight: _Share
    """The step's weight in per cent."""
    granted: bool
    """Whether he approved it."""
    approver: Annotated[str, Field(max_length=USER)]
    """Who, as the API server knows him."""
    name: Annotated[str, Field(max_length=253)]
    """The ModelApproval."""
    time: datetime
    """When."""


class Asked(Part):
    """What the rollout waits for somebody to approve."""

    weight: _Share
    """The weight in per cent."""
    since: datetime
    """Since when."""


class RolloutStatus(Part):
    """The rollout under way."""

    revision: _Name
    """The canary revision."""
    version: _Number
    """Number of its model version."""
    attempt: Annotated[int, Field(ge=1)]
    """Which attempt this is; actions by annotation name it, as in 7/2."""
    step: Annotated[int, Field(ge=0)]
    """Which step, counted from 1; 0 before the first."""
    steps: Annotated[int, Field(ge=1)]
    """How many there are."""
    weight: _Share
    """Share of the traffic in per cent that the canary is given."""
    started: datetime
    """When the attempt began."""
    since: datetime | None = None
    """When the canary first got traffic."""
    verdict: Sentence | None = None
    """Why it goes back, where it does."""
    waits_for: Asked | None = None
    """The step that waits for approval, where one does."""
    approvals: Annotated[list[Approval], Field(max_length=MEMORY)] | None = None
    """The newest word on each step, oldest first."""
    findings: Annotated[list[Finding], Field(max_length=32)] | None = None
    """What each guard found at the newest look."""


class GateFinding(Part):
    """What one gate found."""

    gate: Annotated[str, Field(max_length=300)]
    """The gate's place in spec.gates, such as tags.validation_status."""
    outcome: Outcome
    """Passed, Failed (the version is rejected) or Waiting (for what may still come)."""
    value: _Words | None = None
    """What was found."""
    limit: _Words | None = None
    """What is asked for."""
    message: _Message
    """All of it for a person."""


class GateStatus(Part):
    """What the gates found of the newest revision that stood at them."""

    revision: _Name
    """The revision."""
    version: _Number
    """Number of its model version."""
    findings: Annotated[list[GateFinding], Field(max_length=64)]
    """What each gate found."""


class Weight(Part):
    """A revision's share of the traffic."""

    revision: _Name
    """The revision."""
    weight: _Share
    """Its share in per cent."""


class Rejected(Part):
    """A revision that is not tried again by itself."""

    revision: _Name
    """The revision."""
    version: _Number
    """Number of its model version."""
    attempt: Annotated[int, Field(ge=1)]
    """The attempt that failed; the annotation tidegate.dev/retry names version and attempt, as in 7/2."""
    reason: _ReasonWord
    """The cause."""
    message: _Message
    """The cause for a person."""
    time: datetime
    """When it was rejected."""


class Parked(Rejected):
    """A revision that is tried again when its cause is gone."""

    tries: Annotated[int, Field(ge=0)]
    """How often it was tried without success."""
    retry_at: datetime
    """When it is tried again at the earliest."""


class Alert(Part):
    """An alert that fires for the object."""

    id: Annotated[str, Field(max_length=128)]
    """Names this occurrence of it; the annotation tidegate.dev/dismiss makes Tidegate forget it."""
    name: Annotated[str, Field(max_length=128)]
    """The alert's name."""
    summary: Annotated[str, Field(max_length=MESSAGE)] | None = None
    """What its sender says about it."""
    since: datetime
    """When it began, by its sender's clock."""
    until: datetime | None = None
    """When it ends by itself, where its sender said so."""


class Past(Part):
    """An attempt that has ended."""

    revision: _Name
    """The revision."""
    version: _Number
    """Number of its model version."""
    attempt: Annotated[int, Field(ge=1)]
    """Which attempt it was."""
    reason: _ReasonWord
    """How it ended: Promoted, or the cause that sent it back."""
    message: _Message
    """The same for a person."""
    started: datetime
    """When it began."""
    ended: datetime
    """When it ended."""


def _by(*keys: str) -> Any:
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


class Status(Part):
    """What is: a projection of the route's record, written after it and never by people."""

    observed_generation: Annotated[int, Field(ge=-1)] = -1
    """The generation of the spec that this status is about; -1 before anybody has looked."""
    phase: Phase | None = None
    """One word for the table that kubectl prints."""
    version: _Number | None = None
    """Number of the model version that serves."""
    canary: _Number | None = None
    """Number of the model version that is being rolled out."""
    weight: _Share | None = None
    """Share of the traffic in per cent that the canary is given."""
    conditions: Annotated[list[Condition], Field(max_length=16, json_schema_extra=_by("type"))] | None = None
    """Ready (what is asked for is what serves), Reconciling, Stalled, Available, ModelResolved, EvidenceAvailable,
    RouteAccepted."""
    stable: Stable | None = None
    """The revision that serves."""
    rollout: RolloutStatus | None = None
    """The rollout under way."""
    gates: GateStatus | None = None
    """What the gates found of the newest revision that stood at them."""
    weights: Annotated[list[Weight], Field(max_length=BACKENDS, json_schema_extra=_by("revision"))] | None = None
    """Shares of the traffic as the gateway has confirmed them; absent while it has not."""
    rejected: Annotated[list[Rejected], Field(max_length=MEMORY)] | None = None
    """Revisions that are not tried again by themselves, newest last."""
    parked: Annotated[list[Parked], Field(max_length=MEMORY)] | None = None
    """Revisions that are tried again when their cause is gone, newest last."""
    history: Annotated[list[Past], Field(max_length=MEMORY)] | None = None
    """Attempts that have ended, newest last."""
    alerts: Annotated[list[Alert], Field(max_length=MEMORY)] | None = None
    """Alerts that fire. By guards.alerts they hold every raise, until they are resolved or dismissed."""
    audited: Annotated[int, Field(ge=0)] | None = None
    """Number of the last act on this object that the audit trail was told of."""
    posted: Annotated[int, Field(ge=0)] | None = None
    """Number of the last act on this object that the audit trail's webhook took."""
    record: Annotated[str, Field(max_length=RECORD)] | None = None
    """The record that the route carries, for the case that the route is lost. Read by Tidegate alone."""
    judge: dict[str, Any] | None = None
    """State of the tests behind the guards, saved at most every 10 s, so that a restart forgets little."""

"""What the user asks for, parsed and checked: the only form in which the machine knows a spec."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tidegate.core.gates import NO_GATES, Gates
from tidegate.core.guards import Guard, Mode
from tidegate.core.predictions import DriftGuard
from tidegate.core.queries import QueryGuard
from tidegate.core.values import ObjectRef


class PointerKind(StrEnum):
    """How the registry is asked for a version."""

    STAGE = "stage"
    ALIAS = "alias"
    VERSION = "version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """A name in the registry that stands for a version, or the version's number itself."""

    kind: PointerKind
    value: str

    @property
    def pinned(self) -> bool:
        """Whether the version is known without asking anybody."""
        return self.kind is PointerKind.VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The second pointer: what it names is tried beside what the first one names.

    `discard`: a rejected version is taken off the pointer (an alias is removed, a version in a stage archived).
    """

    pointer: Pointer
    discard: bool = False


class Runtime(StrEnum):
    """The serving preset."""

    TIDEGATE = "tidegate"
    MLSERVER = "mlserver"
    KSERVE = "kserve"
    TRITON = "triton"
    VLLM = "vllm"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsFormat:
    """Where and how a `custom` runtime counts its requests.

    `code_label` is the label that holds the HTTP status; `duration_unit` is the number of seconds in one unit of the
    histogram's edges (1.0 or 0.001).
    """

    port: int
    path: str
    requests_metric: str
    code_label: str
    duration_metric: str | None = None
    duration_unit: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaling:
    """The most pods that an autoscaler may give a revision, and by what; the least are `Serving.replicas`.

    `metrics` are `MetricSpec`s of `autoscaling/v2` as plain JSON values.
    """

    most: int
    metrics: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How a version is served.

    `canonical` is the user's own fields (runtime, resources, template, metrics) as plain JSON values: what the
    revision's hash covers. `replicas` and `autoscaling` are not in it.
    """

    runtime: Runtime
    replicas: int
    canonical: Mapping[str, Any]
    metrics: MetricsFormat | None = None
    autoscaling: Autoscaling | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The part of an HTTPRoute that users choose, as plain Gateway API JSON values."""

    parent_refs: tuple[Mapping[str, Any], ...]
    hostnames: tuple[str, ...] = ()
    matches: tuple[Mapping[str, Any], ...] = ()
    filters: tuple[Mapping[str, Any], ...] = ()
    timeouts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A weight (per cent, 1 to 100) and how long it is held (seconds, from the router's confirmation).

    `approval`: somebody has to approve it before it is given.
    """

    weight: int
    hold: float
    approval: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertGuard:
    """What alerts do. `match`: labels that an alert has to have; None: this object's `namespace` and name."""

    match: Mapping[str, str] | None = None
    mode: Mode = Mode.ENFORCE

    @property
    def enforced(self) -> bool:
        """Whether alerts revert and hold, or are only told."""
        return self.mode is Mode.ENFORCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One object's wish. All times in seconds.

    `registry` is the `ModelRegistry` (`namespace/name`) that is asked, None for the operator's own. `registry_secret`
    names the Secret that pods get in place of that registry's. `revoke_reverts`: a refused step sends everything
    back.
    """

    ref: ObjectRef
    generation: int
    model: str
    pointer: Pointer
    registry_secret: str | None
    serving: Serving
    gateway: Gateway
    steps: tuple[Step, ...]
    deadline: float
    progress_deadline: float
    rollback_window: float
    guards: tuple[Guard, ...]
    request_timeout: float
    interval: float
    sources: tuple[str, ...] = ("pods",)
    queries: tuple[QueryGuard, ...] = ()
    alerts: AlertGuard = AlertGuard()
    drift: DriftGuard | None = None
    candidate: Candidate | None = None
    write_back: bool = True
    revoke_reverts: bool = False
    registry: str | None = None
    gates: Gates = NO_GATES
    paused: bool = False
    deleting: bool = False

    def step_at(self, weight: int) -> Step:
        """The step that a weight belongs to: the last one that does not ask for more than it (or the first)."""
        reached = [step for step in self.steps if step.weight <= weight]
        return reached[-1] if reached else self.steps[0]

    def step_after(self, weight: int) -> Step | None:
        """The next step up from a weight, None at the end."""
        return next((step for step in self.steps if step.weight > weight), None)

    def pods_for(self, weight: int, full: int = 0) -> int:
        """How many ready pods a weight needs: the same share of all, rounded up, at least one.

        All are `replicas`, or `full` where that is more.
        """
        return max(1, -(-max(self.serving.replicas, full) * weight // 100))

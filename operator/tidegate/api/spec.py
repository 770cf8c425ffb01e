"""The spec of a `ModelDeployment`: what a user asks for. A field whose function is not built is not here."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.alias_generators import to_snake

from tidegate.api.evidence import Evidence
from tidegate.api.gates import Gates
from tidegate.api.gateway import Traffic
from tidegate.api.guards import Guards
from tidegate.api.rollout import Rollout
from tidegate.api.rules import Rule, Text, Wire
from tidegate.api.scalars import ObjectName, seconds
from tidegate.api.serving import NO_EXAMPLE, Serving
from tidegate.core.gates import INVOCATIONS
from tidegate.core.guards import Kind
from tidegate.core.pages import PAGES
from tidegate.core.plan import Runtime
from tidegate.core.promql import PRESETS

ModelName = Annotated[
    str,
    Text(
        pattern=r"^[^/:\x00-\x1f\x7f]*[^/:\p{Z}\x00-\x1f\x7f][^/:\x00-\x1f\x7f]*$",
        max_length=256,
        remedy="must be the name of a registered model: not blank, without '/', ':' and control characters, "
        "at most 256 characters",
    ),
    Rule(
        cel="self != '.' && !self.startsWith('..')",
        holds=lambda name: name != "." and not name.startswith(".."),
        message="must not be '.' or begin with '..': MLflow takes that for a path",
    ),
]

_Alias = Annotated[
    str,
    Text(
        pattern=r"^[\p{L}\p{N}_\-]+$",
        max_length=255,
        remedy="must be an alias of letters, digits, '_' and '-', at most 255 characters, such as champion",
    ),
    Rule(
        cel="self.lowerAscii() != 'latest' && !self.matches('^[vV][0-9]+$')",
        holds=lambda alias: alias.lower() != "latest" and not (alias[:1] in {"v", "V"} and _digits(alias[1:])),
        message="is reserved by MLflow (latest, v1, v2, ...): set an alias of your own in MLflow, or use version",
    ),
]

VersionNumber = Annotated[
    str,
    Text(
        pattern=r"^[1-9][0-9]*$",
        max_length=9,
        remedy='must be the number of a model version in quotes, such as "7"',
    ),
]


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


class RegistrySecret(Wire):
    """A Secret of this object's namespace."""

    name: ObjectName
    """Name of the Secret."""


class RegistryAccess(Wire):
    """Which registry is asked, and how the pods get at its artifacts."""

    rules = (
        Rule(
            cel="has(self.name) || has(self.secretRef)",
            holds=lambda registry: registry.name is not None or registry.secret_ref is not None,
            message="name a ModelRegistry, or a secretRef for the pods; or leave registry out",
        ),
    )
    name: ObjectName | None = None
    """Name of a ModelRegistry of this namespace; absent: the registry of the operator's own environment."""
    secret_ref: RegistrySecret | None = None
    """Secret whose keys (MLFLOW_TRACKING_USERNAME, _PASSWORD, _TOKEN, AWS_ACCESS_KEY_ID and the like) the pods get as
    environment; absent: the Secret of the ModelRegistry, if that names one. It is referred to, never copied, and
    changing it starts no rollout."""


class Rejected(Wire):
    """What becomes of the candidate pointer when its version is rejected."""

    rules = (
        Rule(
            cel="has(self.stage) || has(self.removeAlias)",
            holds=lambda given: given.stage is not None or given.remove_alias is not None,
            message="name stage or removeAlias, or leave onReject out",
        ),
    )
    stage: Literal["Archived"] | None = None
    """The rejected version is moved to this stage, if it still is in the candidate's."""
    remove_alias: Literal[True] | None = None
    """The candidate's alias is removed, if it still names the rejected version."""


class Candidate(Wire):
    """A second name in the registry: the version behind it is tried beside what the first one names."""

    rules = (
        Rule(
            cel="has(self.stage) != has(self.alias)",
            holds=lambda given: (given.stage is None) != (given.alias is None),
            message="name the candidate by exactly one of stage and alias",
        ),
        Rule(
            cel="!has(self.onReject) || !has(self.onReject.stage) || has(self.stage)",
            holds=lambda given: given.on_reject is None or given.on_reject.stage is None or given.stage is not None,
            message="goes with a candidate that is named by stage: use removeAlias",
            field="onReject.stage",
        ),
        Rule(
            cel="!has(self.onReject) || !has(self.onReject.removeAlias) || has(self.alias)",
            holds=lambda given: (
                given.on_reject is None or given.on_reject.remove_alias is None or given.alias is not None
            ),
            message="goes with a candidate that is named by alias: use stage",
            field="onReject.removeAlias",
        ),
    )
    stage: Literal["Production", "Staging"] | None = None
    """The newest version in this stage is tried."""
    alias: _Alias | None = None
    """The version that this alias names is tried."""
    on_reject: Rejected | None = None
    """What becomes of the pointer when its version is rejected; absent: people move it."""


class Model(Wire):
    """Which model is served, and which name in the registry says the version."""

    rules = (
        Rule(
            cel="[has(self.stage), has(self.alias), has(self.version)].exists_one(given, given)",
            holds=lambda model: sum(name is not None for name in (model.stage, model.alias, model.version)) == 1,
            message="name the version by exactly one of stage, alias and version",
        ),
        Rule(
            cel="!has(self.candidate) || !has(self.version)",
            holds=lambda model: model.candidate is None or model.version is None,
            message="goes with stage or alias: a finished rollout moves that pointer, and a number can't be moved",
            field="candidate",
        ),
        Rule(
            cel="!has(self.candidate) || !has(self.stage) || !has(self.candidate.stage) || "
            "self.stage != self.candidate.stage",
            holds=lambda model: model.candidate is None or model.stage is None or model.stage != model.candidate.stage,
            message="must differ from model.stage",
            field="candidate.stage",
        ),
        Rule(
            cel="!has(self.candidate) || !has(self.alias) || !has(self.candidate.alias) || "
            "self.alias != self.candidate.alias",
            holds=lambda model: model.candidate is None or model.alias is None or model.alias != model.candidate.alias,
            message="must differ from model.alias",
            field="candidate.alias",
        ),
    )
    name: ModelName
    """Name of the registered model in MLflow, as it is written there."""
    stage: Literal["Production", "Staging"] | None = None
    """The newest version in this stage is served."""
    alias: _Alias | None = None
    """The version that this alias names is served."""
    version: VersionNumber | None = None
    """This version is served; no registry is asked."""
    candidate: Candidate | None = None
    """A second pointer, whose version is tried while the first one's serves. A finished rollout moves the first pointer
    in the registry: the alias is set and the candidate's removed, or the stage changed and the old version archived."""
    write_back: Literal["Tags", "None"] = "Tags"
    """What is written to the registry of a version besides the pointers: tags that say what became of it here, or
    nothing."""
    registry: RegistryAccess | None = None
    """Which registry is asked; absent: the operator's own, and the pods get no credentials."""


def can_feed(spec: "Spec", kind: Kind) -> bool:
    """Whether some source can feed the guards of a kind."""
    metrics = spec.serving.metrics
    shown = kind in PAGES[Runtime(spec.serving.runtime)].feeds
    pods = shown and (kind is not Kind.LATENCY or metrics is None or metrics.duration is not None)
    return (spec.evidence.pods and pods) or any(kind in PRESETS[name].feeds for name in spec.evidence.prometheus or ())


def _fed(kind: Kind, given: str, field: str, way_out: str) -> Rule:
    """The rule that some source feeds the guards of a kind, where there are any (`given`, in CEL)."""
    feeding = [name for name, preset in PRESETS.items() if kind in preset.feeds]
    pods = "self.evidence.pods"
    if blind := [runtime.value for runtime, page in PAGES.items() if kind not in page.feeds]:
        pods += f" && !(self.serving.runtime in {blind})"
    if kind is Kind.LATENCY:
        pods += " && (!has(self.serving.metrics) || has(self.serving.metrics.duration))"
    presets = f"has(self.evidence.prometheus) && self.evidence.prometheus.exists(name, name in {feeding})"
    return Rule(
        cel=f"!({given}) || ({pods}) || ({presets})",
        holds=lambda spec: not getattr(spec.guards, to_snake(field)) or can_feed(spec, kind),
        message=f"nothing feeds this guard: {way_out}",
        field=f"guards.{field}",
    )


#: The longest latency that a guard may name (see api/guards.py).
_LONGEST = 600.0


def _measured(name: str, top: float) -> Rule:
    """The rule that no latency limit lies beyond the end of a source's histogram: nothing could ever breach it."""
    end = f"{top:g}s"
    return Rule(
        cel=f"!has(self.evidence.prometheus) || !self.evidence.prometheus.exists(name, name == '{name}') || "
        f"!has(self.guards.latency) || self.guards.latency.all(l, !has(l.max) || duration(l.max) <= duration('{end}'))",
        holds=lambda spec: (
            name not in (spec.evidence.prometheus or ())
            or all(limit.max is None or seconds(limit.max) <= top for limit in spec.guards.latency or ())
        ),
        message=f"the histogram of {name} ends at {end}, so that nothing could breach a longer max: lower it, or leave "
        f"{name} out of spec.evidence.prometheus",
        field="guards.latency",
    )


def _shown(runtime: Runtime, top: float) -> Rule:
    """The same of the pods' own pages."""
    end, name = f"{top:g}s", runtime.value
    return Rule(
        cel=f"!self.evidence.pods || self.serving.runtime != '{name}' || !has(self.guards.latency) || "
        f"self.guards.latency.all(l, !has(l.max) || duration(l.max) <= duration('{end}'))",
        holds=lambda spec: (
            not spec.evidence.pods
            or spec.serving.runtime != name
            or all(limit.max is None or seconds(limit.max) <= top for limit in spec.guards.latency or ())
        ),
        message=f"the histogram that pods of runtime {name} show ends at {end}, so that nothing could breach a longer "
        "max: lower it, or judge by a gateway and set spec.evidence.pods to false",
        field="guards.latency",
    )


#: The runtimes whose pods count what they predict.
_COUNTING = [runtime.value for runtime, page in PAGES.items() if page.predictions]


class Spec(Wire):
    """What is asked for."""

    rules = (
        Rule(
            cel=f"!has(self.guards.drift) || (self.evidence.pods && self.serving.runtime in {_COUNTING})",
            holds=lambda spec: spec.guards.drift is None or (spec.evidence.pods and spec.serving.runtime in _COUNTING),
            message="nothing feeds this guard: the metrics pages of pods of runtime "
            f"{', '.join(_COUNTING)} alone count predictions; leave drift out, or ask for what you have in "
            "spec.guards.queries",
            field="guards.drift",
        ),
        _fed(
            Kind.ERROR_RATE,
            "has(self.guards.errorRate)",
            "errorRate",
            "the sources of spec.evidence don't know how requests ended; add one that does, or leave errorRate out",
        ),
        _fed(
            Kind.CLIENT_ERRORS,
            "has(self.guards.clientErrors)",
            "clientErrors",
            "the sources of spec.evidence know no 4xx; add one that does, or leave clientErrors out",
        ),
        _fed(
            Kind.LATENCY,
            "has(self.guards.latency) && size(self.guards.latency) > 0",
            "latency",
            "name the histogram in spec.serving.metrics.duration, add a source with one to spec.evidence, or leave "
            "latency out",
        ),
        *(
            _measured(name, preset.top)
            for name, preset in PRESETS.items()
            if preset.top is not None and preset.top < _LONGEST
        ),
        Rule(
            cel=f"!(self.serving.runtime in {list(NO_EXAMPLE)}) || !(has(self.gates.smoke) || "
            "has(self.gates.throughput)) || (has(self.gates.request) && has(self.gates.request.path) && "
            "has(self.gates.request.body))",
            holds=lambda spec: spec.serving.runtime not in NO_EXAMPLE or spec.gates.sends_its_own,
            message=f"runtimes {', '.join(NO_EXAMPLE)} don't take MLflow's input example: smoke and throughput need "
            "path and body here",
            field="gates.request",
        ),
        Rule(
            cel="self.serving.runtime != 'mlserver' || !has(self.gates.smoke) || !has(self.gates.smoke.malformed) || "
            "!self.gates.smoke.malformed || (has(self.gates.request) && has(self.gates.request.path) && "
            f"self.gates.request.path != '{INVOCATIONS}')",
            holds=lambda spec: (
                spec.serving.runtime != "mlserver"
                or spec.gates.smoke is None
                or not spec.gates.smoke.malformed
                or not spec.gates.at_invocations
            ),
            message=f"MLServer answers 500 to whatever its {INVOCATIONS} can't parse, so that no version would pass: "
            "leave it out, or ask another path in spec.gates.request",
            field="gates.smoke.malformed",
        ),
        *(_shown(runtime, page.top) for runtime, page in PAGES.items() if page.top < _LONGEST),
    )
    model: Model
    """Which model is served."""
    serving: Serving = Field(default_factory=Serving, json_schema_extra={"default": {}})
    """How a version is served. Any change but that of replicas and autoscaling takes the same road as a new version."""
    traffic: Traffic
    """How traffic gets to the model."""
    rollout: Rollout = Field(default_factory=Rollout, json_schema_extra={"default": {}})
    """How a new version takes over."""
    evidence: Evidence = Field(default_factory=Evidence, json_schema_extra={"default": {}})
    """Where the counts come from that the guards are judged by."""
    gates: Gates = Field(default_factory=Gates, json_schema_extra={"default": {}})
    """What must hold before a new version gets its first request."""
    guards: Guards = Field(default_factory=Guards, json_schema_extra={"default": {}})
    """What must hold while it does."""
    paused: bool = False
    """Freezes weight and clocks of a rollout. Reverts go on, and so does serving."""

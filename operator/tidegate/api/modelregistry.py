"""`tidegate.dev/v1alpha1`: the resource `ModelRegistry`, on the wire and parsed."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tidegate.api.crd import Served
from tidegate.api.findings import findings
from tidegate.api.report import conditions_of
from tidegate.api.retention import RetentionSpec, RetentionStatus, render_retention, terms_of
from tidegate.api.rules import Rule, Text, Wire
from tidegate.api.scalars import Duration, ObjectName, between, seconds
from tidegate.api.status import Condition, Part
from tidegate.core.labels import REGISTRY_KIND
from tidegate.core.modelregistry import KeyOf, RegistryPlan
from tidegate.core.report import Condition as Told
from tidegate.core.retention import Retained
from tidegate.core.values import ObjectRef
from tidegate.errors import InvalidSpec

REGISTRY_PLURAL = "modelregistries"

_Url = Annotated[
    str,
    Text(
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$",
        max_length=1024,
        remedy="must be the base URL of an MLflow server without credentials, query and fragment, such as "
        "https://mlflow.mlflow.svc:5000",
    ),
]
_Key = Annotated[
    str,
    Text(
        pattern=r"^[-._a-zA-Z0-9]+$",
        max_length=253,
        remedy="must be a key of a Secret or ConfigMap: letters, digits, '-', '_' and '.', such as ca.crt",
    ),
]
_Workspace = Annotated[
    str,
    Text(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        max_length=63,
        remedy="must be the name of a workspace in MLflow: lower case letters, digits and '-'",
    ),
]


class SecretName(Wire):
    """A Secret of this object's namespace."""

    name: ObjectName
    """Name of the Secret."""


class KeySelector(Wire):
    """One key of a ConfigMap or Secret of this object's namespace."""

    name: ObjectName
    """Name of the object."""
    key: _Key = "ca.crt"
    """The key in it."""


class Authority(Wire):
    """Where the certificates stand that the server's own is signed by, in PEM."""

    rules = (
        Rule(
            cel="has(self.configMap) != has(self.secret)",
            holds=lambda ca: (ca.config_map is None) != (ca.secret is None),
            message="name exactly one of configMap and secret",
        ),
    )
    config_map: KeySelector | None = None
    """A ConfigMap that has them."""
    secret: KeySelector | None = None
    """A Secret that has them."""


class RegistrySpec(Wire):
    """Where a registry is, and how one gets in."""

    rules = (
        Rule(
            cel="!has(self.ca) || self.url.startsWith('https://')",
            holds=lambda spec: spec.ca is None or spec.url.startswith("https://"),
            message="is for https alone: leave it out, or write https:// in spec.url",
            field="ca",
        ),
    )
    url: _Url
    """Base URL of the MLflow server. It is part of every version's identity: a changed one makes new revisions."""
    secret_ref: SecretName | None = None
    """Secret with username and password, or token (MLFLOW_TRACKING_USERNAME, _PASSWORD and _TOKEN do as well). The
    operator reads it, and the pods of the models get it as environment by reference; changing it starts no rollout."""
    ca: Authority | None = None
    """Certificates to trust the server by; absent: the system's."""
    workspace: _Workspace | None = None
    """Workspace of an MLflow server that has some; absent: the server's default. Part of every version's identity."""
    poll_interval: Annotated[Duration, between("1s", "1h")] = "30s"
    """Time between two reads of a watched name: a moved alias is seen that much later at the most."""
    retention: RetentionSpec | None = None
    """Have versions deleted that were archived long ago and that nothing needs any more; absent: they stay. {} tells
    what would go after 90 days."""


class RegistryStatus(Part):
    """What the registry answered last."""

    observed_generation: Annotated[int, Field(ge=-1)] = -1
    """The generation of the spec that this status is about; -1 before anybody has looked."""
    conditions: (
        Annotated[
            list[Condition],
            Field(
                max_length=16,
                json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
            ),
        ]
        | None
    ) = None
    """Ready (the registry answers as it should), Reconciling (it is asked again), Stalled (a person has to act)."""
    retention: RetentionStatus | None = None
    """What is known of archived versions, where spec.retention is asked for."""


class _Metadata(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", frozen=True)

    name: ObjectName
    namespace: str
    uid: str
    generation: int


class ModelRegistry(BaseModel):
    """An MLflow server with its model registry, and how Tidegate gets in, for ModelDeployments of its namespace."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", frozen=True)

    metadata: _Metadata
    spec: RegistrySpec


MODEL_REGISTRY = Served(
    kind=REGISTRY_KIND,
    plural=REGISTRY_PLURAL,
    singular="modelregistry",
    short="mreg",
    whole=ModelRegistry,
    name=ObjectName,
    spec=RegistrySpec,
    status=RegistryStatus,
    columns=(
        ("URL", "string", ".spec.url", "Base URL of the MLflow server", 0),
        ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether it answers as it should", 0),
        ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', "Why, in a word", 0),
        ("Age", "date", ".metadata.creationTimestamp", "Time since the object was created", 0),
        ("Message", "string", '.status.conditions[?(@.type=="Ready")].message', "Why", 1),
    ),
)


def parse_registry(body: Mapping[str, Any]) -> RegistryPlan:
    """Return what a ModelRegistry asks for.

    Raises:
        InvalidSpec: with (field path, what is wrong and the way out) of everything that is wrong.
    """
    try:
        wanted = ModelRegistry.model_validate(body)
    except ValidationError as error:
        raise InvalidSpec(tuple(findings(error, REGISTRY_KIND))) from error
    metadata, spec = wanted.metadata, wanted.spec
    return RegistryPlan(
        ref=ObjectRef(namespace=metadata.namespace, name=metadata.name, uid=metadata.uid),
        generation=metadata.generation,
        url=spec.url,
        secret=spec.secret_ref.name if spec.secret_ref else None,
        ca=_authority(spec.ca) if spec.ca else None,
        workspace=spec.workspace,
        interval=seconds(spec.poll_interval),
        retention=terms_of(spec.retention),
    )


def _authority(ca: Authority) -> KeyOf:
    kind, at = ("Secret", ca.secret) if ca.secret else ("ConfigMap", ca.config_map)
    assert at is not None  # noqa: S101 (the rule of `Authority`)
    return KeyOf(kind=kind, name=at.name, key=at.key)


def render_registry_status(
    told: Sequence[Told],
    *,
    generation: int,
    previous: Mapping[str, Any] | None,
    now: float,
    retains: bool = False,
    retained: Retained | None = None,
) -> dict[str, Any]:
    """Return the whole status of a ModelRegistry; equal conditions give equal statuses, whenever they are rendered.

    `retains`: its spec asks for retention. Until there is news of that (`retained`), what was said of it stays.
    """
    status = RegistryStatus(observed_generation=generation, conditions=conditions_of(told, generation, previous, now))
    wire = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    before = (previous or {}).get("retention")
    if retains and retained is not None:
        part = render_retention(retained, before)
        wire["retention"] = part.model_dump(mode="json", by_alias=True, exclude_none=True)
    elif retains and before is not None:
        wire["retention"] = before
    return wire

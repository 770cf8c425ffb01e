"""The operator's settings: environment variables `TIDEGATE_*`, and MLflow's own for the registry."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from tidegate.core.notice import Happening
from tidegate.core.retention import Terms


class Settings(BaseSettings):
    """How one operator process runs. Every field is an environment variable of the prefix `TIDEGATE_`."""

    model_config = SettingsConfigDict(env_prefix="TIDEGATE_", frozen=True)

    namespaces: str = Field(default="", description="Namespaces to watch, comma separated; empty means all of them.")
    runtime_image: str = Field(
        default="tidegate-runtime:0.1.0", description="Image of the model server of the preset `tidegate`."
    )
    mlserver_image: str = Field(
        default="seldonio/mlserver:1.6.1-mlflow", description="Image of the model server of the preset `mlserver`."
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="Pull policy of the model servers' images."
    )
    pods_tracking_uri: str = Field(
        default="", description="MLFLOW_TRACKING_URI of the pods; empty means the operator's own."
    )
    registry_interval: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=30.0, description="Seconds between two polls of a name in the registry."
    )
    prometheus_url: str = Field(
        default="", description="Prometheus that is asked for evidence and alerts; empty means that there is none."
    )
    prometheus_token_file: str = Field(
        default="", description="File with a bearer token for Prometheus; read anew for each query."
    )
    prometheus_ca_file: str = Field(
        default="", description="File with the certificates that Prometheus' own is signed by, if the system has not."
    )
    governance: bool = Field(
        default=False,
        description="Whether ModelApprovals count: set it only where the chart's admission policies vouch for who "
        "approves.",
    )
    workers: Annotated[int, Field(ge=1, le=64)] = Field(default=4, description="Objects worked on at the same time.")
    http_host: str = Field(default="0.0.0.0", description="Address of health and metrics.")  # noqa: S104 (a pod's own)
    http_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8080, description="Port of /healthz, /readyz and /metrics; 0 takes a free one."
    )
    alerts_token_file: str = Field(
        default="",
        description="File of bearer tokens, one a line, that may tell of alerts; read anew when it changes. Empty: "
        "there are none.",
    )
    alerts_reviews: bool = Field(
        default=False,
        description="Whether ServiceAccounts may tell of alerts: those that may `create` `modeldeployments/revert`.",
    )
    alerts_audience: str = Field(
        default="", description="Audience that tokens of ServiceAccounts must have; empty: the API server's own."
    )
    alerts_from_prometheus: bool = Field(
        default=False, description="Whether the alerts that fire are read from Prometheus, every 5 s."
    )
    webhook_secret_file: str = Field(
        default="",
        description="File of secrets, one a line, that webhooks of MLflow are signed with; read anew when it changes. "
        "Empty: no webhooks are taken.",
    )
    webhook_cert_file: str = Field(
        default="", description="File with the certificates that webhooks' own port shows; empty: no TLS, and no port."
    )
    webhook_key_file: str = Field(default="", description="File with the key of that certificate.")
    webhook_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8443, description="Port of webhooks over TLS; 0 takes a free one."
    )
    pod_address: str = Field(
        default="", description="Address at which other replicas reach this one, to pass webhooks on to the leader."
    )
    cluster_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{0,63}$")] = Field(
        default="",
        description="Name of this cluster in the tags that are written to the registry; empty: default. Clusters that "
        "share a registry need different ones.",
    )
    retention: bool = Field(
        default=False,
        description="Whether versions of the operator's own registry are deleted that were archived long ago and that "
        "nothing needs any more.",
    )
    retention_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=90, description="Days for which such a version stays after its last change."
    )
    retention_dry_run: bool = Field(
        default=True, description="Whether it is only told what would go; false deletes, for good."
    )
    retention_interval: Annotated[float, Field(ge=60, le=86_400)] = Field(
        default=3600.0,
        description="Seconds between two looks at what may go, in every registry whose owner asks for it. A version is "
        "told of for most of that time before it goes, and one look deletes 20 of a registry at most.",
    )
    log_format: Literal["json", "console"] = Field(default="json", description="How log lines look.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged.")
    audit: str = Field(
        default="stdout",
        description="Where audit events go, as JSON lines: stdout, a file's path, or off. See docs/reference/audit.md.",
    )
    api_timeout: Annotated[float, Field(gt=0, le=60)] = Field(
        default=5.0, description="Seconds that one request to the Kubernetes API may take."
    )
    lease_name: str = Field(
        default="tidegate",
        description="Name of the Lease by which replicas agree on who leads: one for each installation.",
    )
    lease_namespace: str = Field(default="", description="Namespace of that Lease; empty means the pod's own.")
    lease_seconds: Annotated[int, Field(ge=2, le=60)] = Field(
        default=4, description="Seconds without a renewal after which another replica takes over."
    )

    @property
    def watched_namespaces(self) -> tuple[str, ...]:
        """The namespaces one by one; none means all of them."""
        return _listed(self.namespaces)

    @property
    def own_retention(self) -> Terms | None:
        """What becomes of archived versions of the operator's own registry; None: they stay."""
        return Terms(days=self.retention_days, dry_run=self.retention_dry_run) if self.retention else None

    @property
    def webhook_url(self) -> str:
        """Where other replicas reach this one's webhooks; empty where they don't."""
        if not self.pod_address or not self.webhook_secret_file:
            return ""
        host = f"[{self.pod_address}]" if ":" in self.pod_address else self.pod_address
        return f"https://{host}:{self.webhook_port}" if self.webhook_cert_file else f"http://{host}:{self.http_port}"


class RegistrySettings(BaseSettings):
    """The operator's own registry, from MLflow's variables."""

    model_config = SettingsConfigDict(env_prefix="MLFLOW_TRACKING_", frozen=True)

    uri: str = Field(default="", description="URL of the MLflow tracking server; empty means that there is none.")
    username: str = Field(default="", description="User for basic authentication.")
    password: SecretStr = Field(default=SecretStr(""), description="Password for basic authentication.")
    token: SecretStr = Field(default=SecretStr(""), description="Bearer token, in place of user and password.")


def _happenings(names: str) -> str:
    known = [happening.value for happening in Happening]
    unknown = [name for name in _listed(names) if name not in known]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: must be of {', '.join(known)}")
    return names


def _address(url: SecretStr) -> SecretStr:
    scheme, slashes, rest = url.get_secret_value().partition("://")
    if url.get_secret_value() and not (scheme in {"http", "https"} and slashes and rest.strip("/")):
        raise ValueError("must be a URL that begins with http:// or https://")
    return url


_Happenings = Annotated[str, AfterValidator(_happenings)]
_Address = Annotated[SecretStr, AfterValidator(_address)]


class NotifySettings(BaseSettings):
    """Who is told of rollouts. Addresses are secrets: whoever has one may write there."""

    # A wrong address must not be printed either.
    model_config = SettingsConfigDict(env_prefix="TIDEGATE_NOTIFY_", frozen=True, hide_input_in_errors=True)

    cluster: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]*$")] = Field(
        default="", description="Name of this cluster in notices; empty: notices name none."
    )
    cloudevents_url: _Address = Field(
        default=SecretStr(""), description="Where CloudEvents are posted; empty: nowhere."
    )
    cloudevents_token: SecretStr = Field(default=SecretStr(""), description="Bearer token sent with them.")
    cloudevents_events: _Happenings = Field(
        default="",
        description="What is sent there, comma separated: started, step, approval, promoted, reverted; empty: all.",
    )
    slack_url: _Address = Field(
        default=SecretStr(""), description="Incoming webhook of Slack or the like; empty: nowhere."
    )
    slack_events: _Happenings = Field(default="", description="What is sent there, as above.")


class AuditSettings(BaseSettings):
    """Who takes audit events besides the stream of lines. The address is a secret."""

    model_config = SettingsConfigDict(env_prefix="TIDEGATE_AUDIT_WEBHOOK_", frozen=True, hide_input_in_errors=True)

    url: _Address = Field(
        default=SecretStr(""), description="Where audit events are posted as CloudEvents; empty: nowhere."
    )
    token_file: str = Field(
        default="", description="File with a bearer token that is sent with them; read anew for each."
    )
    ca_file: str = Field(
        default="", description="File with the certificates that the receiver's is signed by, if the system has not."
    )


class RetrainSettings(BaseSettings):
    """Who trains models, and when the operator asks for it by itself. The address is a secret."""

    model_config = SettingsConfigDict(env_prefix="TIDEGATE_RETRAIN_", frozen=True, hide_input_in_errors=True)

    url: _Address = Field(
        default=SecretStr(""), description="Where RetrainingRequests are posted as CloudEvents; empty: nowhere."
    )
    token: SecretStr = Field(default=SecretStr(""), description="Bearer token sent with them.")
    after: Annotated[int, Field(ge=0, le=50)] = Field(
        default=3,
        description="Versions rejected in a row (or one, for drift) after which the operator asks by itself; 0: never.",
    )
    cool_down: Annotated[float, Field(ge=0, le=31_536_000)] = Field(
        default=86_400.0, description="Seconds after a request for a model in which the operator makes no other."
    )
    user: str = Field(default="", description="The operator's own user name, in whose name it asks; empty: never.")


def happenings(names: str) -> frozenset[Happening]:
    """The happenings that a setting lists; all of them where it lists none."""
    return frozenset(Happening(name) for name in _listed(names)) or frozenset(Happening)


def _listed(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())

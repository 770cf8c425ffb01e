"""The operator's settings: environment variables `TIDEGATE_*`, and MLflow's own for the registry."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


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
    workers: Annotated[int, Field(ge=1, le=64)] = Field(default=4, description="Objects worked on at the same time.")
    http_host: str = Field(default="0.0.0.0", description="Address of health and metrics.")  # noqa: S104 (a pod's own)
    http_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8080, description="Port of /healthz, /readyz and /metrics; 0 takes a free one."
    )
    log_format: Literal["json", "console"] = Field(default="json", description="How log lines look.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged.")
    api_timeout: Annotated[float, Field(gt=0, le=60)] = Field(
        default=5.0, description="Seconds that one request to the Kubernetes API may take."
    )

    @property
    def watched_namespaces(self) -> tuple[str, ...]:
        """The namespaces one by one; none means all of them."""
        return tuple(name.strip() for name in self.namespaces.split(",") if name.strip())


class RegistrySettings(BaseSettings):
    """The operator's own registry, from MLflow's variables."""

    model_config = SettingsConfigDict(env_prefix="MLFLOW_TRACKING_", frozen=True)

    uri: str = Field(default="", description="URL of the MLflow tracking server; empty means that there is none.")
    username: str = Field(default="", description="User for basic authentication.")
    password: SecretStr = Field(default=SecretStr(""), description="Password for basic authentication.")
    token: SecretStr = Field(default=SecretStr(""), description="Bearer token, in place of user and password.")

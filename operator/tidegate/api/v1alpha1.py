"""`tidegate.dev/v1alpha1`: the resource `ModelDeployment`."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from tidegate.api.scalars import DeploymentName
from tidegate.api.spec import Spec

GROUP = "tidegate.dev"
VERSION = "v1alpha1"
KIND = "ModelDeployment"
PLURAL = "modeldeployments"
SINGULAR = "modeldeployment"
SHORT = "mdep"
API_VERSION = f"{GROUP}/{VERSION}"


class Metadata(BaseModel):
    """What Tidegate asks of and reads from an object's metadata."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    name: DeploymentName
    namespace: str
    uid: str
    generation: int
    deletion_timestamp: str | None = Field(default=None, alias="deletionTimestamp")


class ModelDeployment(BaseModel):
    """A model of an MLflow registry, served behind a gateway; new versions take over step by step."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", frozen=True)

    metadata: Metadata
    spec: Spec

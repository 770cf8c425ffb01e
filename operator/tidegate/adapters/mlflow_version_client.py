"""What single versions have beside a number: tags, the metrics of their run, and the file MLmodel.

The file is asked of the MLflow server, which gets it from wherever the artifacts are: the operator needs no way to any
store, and no credentials for one. Imports mlflow, like `mlflow_client`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from tidegate.adapters.mlflow_client import Client
from tidegate.adapters.mlflow_failures import RegistryFault, not_mlflow
from tidegate.adapters.model_file import parsed
from tidegate.core.gates import LARGEST_EXAMPLE, ModelFile
from tidegate.core.reasons import Reason

_RUN = "/api/2.0/mlflow/runs/get"
_ARTIFACT = "/model-versions/get-artifact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What `model-versions/get` tells of a version besides its state. `run` is the id of its run, if it has one."""

    tags: Mapping[str, str]
    created_ms: int
    run: str


class VersionClient(Client):
    """Reads of single versions. Methods block up to `timeout` seconds and raise `RegistryFault`, nothing else."""

    def described(self, model: str, number: str) -> Described:
        """`model-versions/get` for its other half."""
        entity = self._found(model, number)
        self._version(entity)
        tags = {str(name): str(value) for name, value in (entity.tags or {}).items()}
        return Described(tags=tags, created_ms=int(entity.creation_timestamp or 0), run=str(entity.run_id or ""))

    def metrics(self, run: str) -> dict[str, float]:
        """`runs/get`: the newest value of each metric."""
        text = self._store.text(_RUN, {"run_id": run})
        try:
            data = json.loads(text)["run"]["data"]
            return {str(entry["key"]): float(entry["value"]) for entry in data.get("metrics", [])}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise not_mlflow(self._access, f"JSON of another shape: {error}") from error

    def model_file(self, model: str, number: str) -> ModelFile:
        """The file MLmodel of a version, by way of the server."""
        text = self._file(model, number, "MLmodel")
        try:
            return parsed(yaml.safe_load(text))
        except (ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
            words = f"the file MLmodel of version {number} of {model!r} is none: {self._access.clean(str(error))}"
            raise RegistryFault(Reason.NOT_A_MODEL, words) from error

    def example(self, model: str, number: str, path: str) -> str:
        """The saved body for `/invocations`, by way of the server; of a large one more than may be sent, not all."""
        return self._file(model, number, path)[: LARGEST_EXAMPLE + 1]

    def _file(self, model: str, number: str, path: str) -> str:
        try:
            return self._store.text(_ARTIFACT, {"name": model, "version": number, "path": path})
        except RegistryFault as fault:
            message = f"the file {path} of version {number} of {model!r} can't be read: {fault}"
            raise RegistryFault(Reason.NOT_A_MODEL if fault.code else Reason.REGISTRY_FAILING, message) from fault

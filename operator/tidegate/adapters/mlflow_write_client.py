"""Writes over the official MLflow client, held to the bounds of reading (see `mlflow_client`, also for what it costs).

Every write says what shall be, not what shall change, so that one of which nobody knows whether it was done is simply
done again. MLflow has no compare-and-set: who must not overwrite has to read before and after.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mlflow.entities.model_registry import ModelVersion, ModelVersionTag

from tidegate.adapters.mlflow_client import PAGE, Client
from tidegate.adapters.mlflow_failures import RegistryFault, not_mlflow
from tidegate.core.reasons import Reason
from tidegate.core.registered import RegisteredModel, RegisteredVersion

#: How often an alias is set again where another one set it for the first time in the same moment.
ALIAS_TRIES = 3
#: MLflow's permission for whatever deletes, an alias or a tag as well. For all else EDIT is enough.
_TO_DELETE = "MANAGE"
_NOT_FOUND = "RESOURCE_DOES_NOT_EXIST"
_INVALID = "INVALID_PARAMETER_VALUE"
_BAD_REQUEST = "BAD_REQUEST"


class WritingClient(Client):
    """`Client` that writes. Every method blocks for one request at a time and raises `RegistryFault`, nothing else."""

    def whole(self, name: str) -> RegisteredModel:
        """A model with all of its versions: `registered-models/get`, then pages of `model-versions/search`."""
        model = self.model(name)
        found: list[RegisteredVersion] = []
        page: str | None = None
        while True:
            versions = self._store.search_model_versions(
                filter_string=f"name = {_quoted(name)}", max_results=PAGE, page_token=page
            )
            found += [self._registered(version) for version in versions]
            page = versions.token or None
            if page is None:
                break
        return RegisteredModel(
            name=name,
            created_ms=model.created_ms,
            aliases=model.aliases,
            versions=tuple(sorted(found, key=lambda version: int(version.number))),
        )

    def registered(self, model: str, number: str) -> RegisteredVersion:
        """One version with its tags: `model-versions/get`."""
        with self._about(model, number):
            return self._registered(self._store.get_model_version(model, number))

    def set_tag(self, model: str, number: str, key: str, value: str) -> None:
        """`model-versions/set-tag`."""
        with self._about(model, number):
            self._store.set_model_version_tag(model, number, ModelVersionTag(key, value))

    def delete_tag(self, model: str, number: str, key: str) -> None:
        """`model-versions/delete-tag`; one that is not there is deleted."""
        with self._about(model, number, right=_TO_DELETE):
            self._store.delete_model_version_tag(model, number, key)

    def set_alias(self, model: str, alias: str, number: str) -> None:
        """`registered-models/alias`: set or move."""
        with self._about(model, number):
            self._again(lambda: self._store.set_registered_model_alias(model, alias, number))

    def delete_alias(self, model: str, alias: str) -> None:
        """`registered-models/alias`; one that is not there is deleted."""
        with self._about(model, right=_TO_DELETE):
            self._store.delete_registered_model_alias(model, alias)

    def move(self, model: str, number: str, stage: str, *, archive: bool) -> None:
        """`model-versions/transition-stage`; with `archive`, all others in that stage are archived by the same call."""
        with self._about(model, number):
            self._store.transition_model_version_stage(model, number, stage, archive_existing_versions=archive)

    def delete_version(self, model: str, number: str) -> None:
        """`model-versions/delete`; one that is not there is deleted."""
        with self._about(model, number, right=_TO_DELETE):
            try:
                self._store.delete_model_version(model, number)
            except RegistryFault as fault:
                if fault.code != _NOT_FOUND:
                    raise

    def _registered(self, entity: Any) -> RegisteredVersion:
        if not isinstance(entity, ModelVersion) or not str(entity.version).isdecimal():
            raise not_mlflow(self._access, "JSON without a model version in it")
        return RegisteredVersion(
            number=str(entity.version),
            stage=entity.current_stage or "None",
            ready=entity.status == "READY",
            tags={str(key): str(value) for key, value in (entity.tags or {}).items()},
            created_ms=int(entity.creation_timestamp or 0),
            updated_ms=int(entity.last_updated_timestamp or 0),
        )

    def _again(self, write: Callable[[], None]) -> None:
        # Two first sets of one alias at once: one breaks a unique constraint of the database, and finds it next time.
        for _ in range(ALIAS_TRIES - 1):
            try:
                write()
            except RegistryFault as fault:
                if fault.code != _BAD_REQUEST:
                    raise
            else:
                return
        write()

    @contextmanager
    def _about(self, model: str, number: str | None = None, *, right: str = "EDIT") -> Iterator[None]:
        """Say of a fault what was asked for when it happened, and what to do."""
        what = f"version {number} of model {model!r}" if number else f"model {model!r}"
        try:
            yield
        except RegistryFault as fault:
            if fault.code == _NOT_FOUND:
                reason = Reason.VERSION_NOT_FOUND if number else Reason.MODEL_NOT_FOUND
                raise RegistryFault(reason, f"the registry has no {what} ({fault})", code=fault.code) from fault
            if fault.unavailable.reason == Reason.REGISTRY_FORBIDDEN:
                who = f"user {self._access.username!r}" if self._access.username else "the operator"
                message = f"registry {self._access.url} forbids {who} to change {what}: grant {right} on the model"
                raise RegistryFault(Reason.REGISTRY_FORBIDDEN, message, code=fault.code) from fault
            if fault.code in {_INVALID, _BAD_REQUEST}:
                message = f"the registry does not take a change of {what} ({fault})"
                raise RegistryFault(Reason.REGISTRY_REFUSED, message, code=fault.code) from fault
            raise


def _quoted(name: str) -> str:
    if "'" in name and '"' in name:
        message = f"the versions of model {name!r} can't be listed: MLflow searches for no name with both ' and \""
        raise RegistryFault(Reason.REGISTRY_REFUSED, message)
    return f'"{name}"' if "'" in name else f"'{name}'"

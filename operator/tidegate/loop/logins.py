"""The way into a registry, as a ModelRegistry describes it: its URL, with what its Secret and certificates hold."""

import base64
import binascii
from collections.abc import Iterator, Mapping

from tidegate.core.modelregistry import KeyOf, RegistryPlan
from tidegate.core.presets import LOGIN_KEYS
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable
from tidegate.errors import Refused
from tidegate.ports import Cluster, Login, Manifest


class _NotThereError(Exception):
    """What the ModelRegistry names can't be read; the words say what, and the way out."""


class Logins:
    """Reads Secrets and ConfigMaps, each by its name."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def read(self, plan: RegistryPlan) -> Login | Unavailable:
        """The way into a registry now.

        Raises:
            ClusterError: the API server does not say. Nothing is known to have changed.
        """
        try:
            words = await self._words(plan)
            ca = await self._certificates(plan)
        except _NotThereError as error:
            return Unavailable(reason=Reason.REGISTRY_CREDENTIALS_MISSING, message=str(error))
        return Login(uri=plan.url, **words, ca=ca, workspace=plan.workspace, declared=True)

    async def _words(self, plan: RegistryPlan) -> dict[str, str]:
        if plan.secret is None:
            return {}
        body = await self._object(plan, "Secret", plan.secret, field="spec.secretRef.name")
        held = _held(body)
        words = {
            key: word for key in LOGIN_KEYS if (word := held.get(key) or held.get(f"MLFLOW_TRACKING_{key.upper()}"))
        }
        if "token" not in words and not {"username", "password"} <= words.keys():
            raise _NotThereError(
                f"spec.secretRef.name: Secret {plan.secret} has neither username and password nor token: add the keys"
            )
        return words

    async def _certificates(self, plan: RegistryPlan) -> str | None:
        if plan.ca is None:
            return None
        ca: KeyOf = plan.ca
        body = await self._object(plan, ca.kind, ca.name, field="spec.ca")
        text = _held(body).get(ca.key, "")
        if "-----BEGIN CERTIFICATE-----" not in text:
            raise _NotThereError(f"spec.ca: {ca.kind} {ca.name} has no certificate (PEM) in the key {ca.key!r}: add it")
        return text

    async def _object(self, plan: RegistryPlan, kind: str, name: str, *, field: str) -> Manifest:
        namespace = plan.ref.namespace
        try:
            body = await self._cluster.get(kind, namespace, name)
        except Refused as error:
            raise _NotThereError(
                f"{field}: the operator may not read {kind} {name} of namespace {namespace}: list it in "
                "registrySecrets of the chart, or grant the operator's ServiceAccount `get` on it"
            ) from error
        if body is None:
            raise _NotThereError(f"{field}: namespace {namespace} has no {kind} {name}: create it, or correct the name")
        return body


def _held(body: Manifest) -> Mapping[str, str]:
    """What a Secret or a ConfigMap holds, as far as it is text; of a Secret without the line break at the end."""
    if body["kind"] == "ConfigMap":
        return dict(body.get("data") or {})
    return dict(_decoded(body.get("data") or {}))


def _decoded(data: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        try:
            yield key, base64.b64decode(value).decode("utf-8").rstrip("\r\n")
        except (binascii.Error, UnicodeDecodeError):
            continue

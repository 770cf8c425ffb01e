"""What a `ModelRegistry` asks for: the only form in which the machine knows one."""

from dataclasses import dataclass

from tidegate.core.retention import Terms
from tidegate.core.values import ObjectRef


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOf:
    """One key of a `Secret` or `ConfigMap` (`kind`) of the same namespace."""

    kind: str
    name: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryPlan:
    """One `ModelRegistry`'s wish. `secret` names the Secret with credentials, `interval` is in seconds.

    `retention`: what becomes of archived versions; None: they stay.
    """

    ref: ObjectRef
    generation: int
    url: str
    secret: str | None
    ca: KeyOf | None
    workspace: str | None
    interval: float
    retention: Terms | None = None

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return self.ref.key

"""Identities and quantities that the whole machine speaks of."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

#: Kubernetes' own alphabet for generated names: no vowels, no digits that look like letters.
SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
HASH_LENGTH = 8


def safe_hash(content: str) -> str:
    """A short name for some content: 8 of Kubernetes' safe characters, from its SHA-256."""
    number = int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big")
    letters = ""
    for _ in range(HASH_LENGTH):
        number, rest = divmod(number, len(SAFE_ALPHABET))
        letters += SAFE_ALPHABET[rest]
    return letters


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """One `ModelDeployment`. `uid` tells a re-created object from the one before it."""

    namespace: str
    name: str
    uid: str

    @property
    def key(self) -> str:
        """`namespace/name`, the key of queues and caches."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionId:
    """One registered model version.

    A model that was deleted and re-created under its old name numbers its versions from 1 again, so the registered
    model's creation time (ms since the epoch) is part of the identity.
    """

    registry: str
    model: str
    model_created_ms: int
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A version served in one exact way.

    `serving` is the SHA-256 (hex) of the user's serving fields in canonical form, without replicas and autoscaling;
    `preset` names the preset's content that the pod template was rendered with. `name` prefixes nothing else: it is
    the name of the revision's Deployment, Service and ControllerRevision.
    """

    name: str
    version: VersionId
    serving: str
    preset: str

    def same_work(self, other: "Revision | None") -> bool:
        """Whether both serve the same version with the same user's fields, whatever the preset."""
        return other is not None and (self.version, self.serving) == (other.version, other.serving)


class Role(StrEnum):
    """What a revision is to its object at the moment."""

    STABLE = "stable"
    CANARY = "canary"
    RETIRING = "retiring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """A source that could not tell: `reason` from the vocabulary, `message` for a person. Never a value."""

    reason: str
    message: str

"""When a model is to be trained anew: asked for by people, or by the operator after versions were rejected in a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tidegate.core.values import ObjectRef


class Cause(StrEnum):
    """Why somebody asks."""

    REQUESTED = "Requested"
    REPEATED_REJECTION = "RepeatedRejection"
    DRIFT = "Drift"


class Handing(StrEnum):
    """How far a request is on its way to who trains. The last three are final."""

    PENDING = "Pending"
    DELIVERED = "Delivered"
    REFUSED = "Refused"
    FAILED = "Failed"

    @property
    def final(self) -> bool:
        """Whether nothing will ever change it."""
        return self is not Handing.PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A request as who trains gets it. `at`: when it was made, in seconds since the epoch."""

    ref: ObjectRef
    requester: str
    model: str
    cause: Cause
    at: float
    version: str | None = None
    deployment: str | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A version that was rejected, which attempt it was, why and when. `drifted`: for what it predicts."""

    version: str
    attempt: int
    message: str
    at: float
    drifted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A request for the same model: when it was made, and whether it is still on its way."""

    at: float
    open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """After how many versions rejected in a row the operator asks (0: never), and how long (seconds) it then rests.

    One that is rejected because its predictions drifted is enough.
    """

    rejections: int
    cool_down: float


def due(rejected: Sequence[Rejected], earlier: Sequence[Earlier], terms: Terms, now: float) -> Rejected | None:
    """The rejection that makes it time to ask; `rejected` are those since the last promotion, oldest first.

    Never while a request for the model is on its way, within the cool-down after one, or for what one was made for.
    """
    versions = {entry.version for entry in rejected}
    if not rejected or terms.rejections == 0 or any(one.open for one in earlier):
        return None
    if len(versions) < terms.rejections and not rejected[-1].drifted:
        return None
    last = max((one.at for one in earlier), default=None)
    newest = rejected[-1]
    if last is not None and (now - last < terms.cool_down or newest.at <= last):
        return None
    return newest

"""What stands in the small world of the machine: pods, and the route."""

from dataclasses import dataclass, field

from tidegate.core.observed import Exit
from tidegate.core.record import Record


@dataclass
class Pods:
    """One revision's pods. `leaving` are those of a Deployment that is gone: they serve, and not for long."""

    ready: int = 0
    leaving: int = 0
    restarts: dict[str, int] = field(default_factory=dict)
    exits: tuple[Exit, ...] = ()


@dataclass
class Live:
    """The route as the API server has it. `told` is the generation that the router has confirmed."""

    record: Record
    weights: dict[str, int]
    generation: int = 1
    told: int = 0

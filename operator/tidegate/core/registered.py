"""What a registry holds of one model, as whoever writes there has to know it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredVersion:
    """One version that is not deleted. `stage` is `None` (the word) where it is in none; times are ms since the epoch.

    `ready` is false while its registration goes on, or where it failed.
    """

    number: str
    stage: str = "None"
    ready: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    created_ms: int = 0
    updated_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredModel:
    """A model with all of its versions, oldest first. `aliases`: version number by alias."""

    name: str
    created_ms: int
    aliases: Mapping[str, str]
    versions: tuple[RegisteredVersion, ...]

    def version(self, number: str) -> RegisteredVersion | None:
        """One of them by its number."""
        return next((version for version in self.versions if version.number == number), None)

    def within(self, stage: str) -> tuple[str, ...]:
        """The numbers of the versions in a stage, oldest first. Stages know no case."""
        return tuple(version.number for version in self.versions if version.stage.lower() == stage.lower())

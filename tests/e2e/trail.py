"""What became of an object, its route and its pods, form by form: no look in between can miss one."""

from types import TracebackType
from typing import Any, Self

from tests.e2e.objects import Objects, Watch


def shares(route: dict[str, Any]) -> dict[str, int]:
    """A route's weights by revision; those without any are left out."""
    rules = route.get("spec", {}).get("rules") or [{}]
    backends = rules[0].get("backendRefs") or []
    return {b["name"]: b.get("weight", 1) for b in backends if b.get("weight", 1)}


def number(revision: str) -> str:
    """The version's number in a revision's name."""
    return revision.rsplit("-", 2)[1].removeprefix("v")


class Trail:
    """Watches of a site's object, route and pods, from their present form on."""

    def __init__(self, objects: Objects, *, owners: str, routes: str, pods: str, lasting: bool = False) -> None:
        self._owners = Watch(objects, owners, lasting=lasting)
        self._routes = Watch(objects, routes, lasting=lasting)
        self._pods = Watch(objects, pods, lasting=lasting)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for watch in (self._owners, self._routes, self._pods):
            watch.close()

    def statuses(self) -> list[tuple[float, dict[str, Any]]]:
        """Times, and the status that was written then."""
        return [(at, owner.get("status") or {}) for at, _, owner in self._owners]

    def forms(self) -> list[tuple[float, dict[str, int]]]:
        """Times, and the weights that were written then, by revision; only where they changed."""
        told: list[tuple[float, dict[str, int]]] = []
        for at, kind, route in self._routes:
            if kind in {"ADDED", "MODIFIED"} and (not told or told[-1][1] != shares(route)):
                told.append((at, shares(route)))
        return told

    def weights(self, version: str) -> list[int]:
        """What a version got, one after the other, 0 included."""
        told = [0]
        for _, form in self.forms():
            weight = sum(share for revision, share in form.items() if number(revision) == version)
            if weight != told[-1]:
                told.append(weight)
        return told[1:]

    def reached(self, version: str, weight: int) -> float:
        """When a version first got a weight (seconds since the epoch)."""
        for at, form in self.forms():
            if any(number(revision) == version and share == weight for revision, share in form.items()):
                return at
        raise AssertionError(f"version {version} never got {weight}%: {self.forms()}")

    def left(self, version: str) -> float:
        """When a version's weight last became 0 (seconds since the epoch)."""
        ends = [end for _, end in self.spans(version) if end is not None]
        if not ends:
            raise AssertionError(f"version {version} never left the route: {self.forms()}")
        return ends[-1]

    def spans(self, version: str) -> list[tuple[float, float | None]]:
        """Each time that a version had weight, from when until when (seconds since the epoch); None: it still has."""
        found: list[tuple[float, float | None]] = []
        for at, form in self.forms():
            has = any(number(revision) == version for revision in form)
            if has and (not found or found[-1][1] is not None):
                found.append((at, None))
            elif not has and found and found[-1][1] is None:
                found[-1] = (found[-1][0], at)
        return found

    def taken_away(self, version: str) -> list[float]:
        """When pods of a version were told to end."""
        first: dict[str, float] = {}
        for at, _, pod in self._pods:
            metadata = pod.get("metadata", {})
            if (
                "deletionTimestamp" in metadata
                and metadata.get("annotations", {}).get("tidegate.dev/version") == version
            ):
                first.setdefault(metadata["uid"], at)
        return sorted(first.values())

    def check(self) -> None:
        """What holds of every form: all of the traffic goes somewhere, and to two revisions at the most."""
        for at, form in self.forms():
            assert sum(form.values()) == 100, f"at {at}: {form}"
            assert len(form) <= 2, f"three with traffic at {at}: {form}"

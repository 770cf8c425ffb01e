from tests.driver.load import Answer
from tests.soak.growth import Vital
from tests.soak.judge import Episode, Outage
from tests.soak.plan import End, Fault, Kind

T0 = 1000.0


def answer(started: float, *, revision: str = "m-v1-a", version: str = "1", status: int = 200) -> Answer:
    return Answer(
        started=started, ended=started + 0.1, status=status, revision=revision, version=version, error="", body=""
    )


def nobodys(started: float, *, version: str = "") -> Answer:
    return answer(started, revision="", version=version, status=0)


def good(version: str = "2", **fields: object) -> Episode:
    """Promoted 30 s after it was pointed at."""
    reached, left = fields.pop("reached", T0 + 5), fields.pop("left", None)
    given: dict[str, object] = {
        "site": "small-0",
        "version": version,
        "kind": Kind.GOOD,
        "revisions": frozenset({f"m-v{version}-a"}),
        "began": T0,
        "spans": ((reached, left),) if reached is not None else (),
        "ended": T0 + 30,
        "end": End.PROMOTED,
    }
    return Episode(**{**given, **fields})  # type: ignore[arg-type]  # fields of its own


def bad(kind: Kind = Kind.ERRORS, version: str = "2", **fields: object) -> Episode:
    """Had traffic from 5 to 10 s, rejected after 12."""
    given = {"kind": kind, "left": T0 + 10, "ended": T0 + 12, "end": End.REJECTED, "reason": "GuardBreached"}
    return good(version, **{**given, **fields})


def outage(begin: float, end: float, fault: Fault = Fault.LEADER_HANGS) -> Outage:
    return Outage(fault=fault, begin=T0 + begin, end=T0 + end)


def vitals(*rss: float, leads: bool = True, process: str = "one", fds: float = 40, tasks: float = 50) -> list[Vital]:
    """A reading each two seconds."""
    return [
        Vital(at=T0 + 2 * n, process=process, leads=leads, values={"rss": each, "fds": fds, "tasks": tasks})
        for n, each in enumerate(rss)
    ]

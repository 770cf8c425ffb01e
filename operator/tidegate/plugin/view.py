"""Objects as people read them: one in full, many as a table, the past, and one line for each change. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tidegate.core.labels import ACTIONS, DISMISS, PROMOTION_KIND, RETRAINING_KIND
from tidegate.core.reasons import MEANING, Reason
from tidegate.plugin.actions import Body, annotation, leftovers, named, paused_by

#: What status keeps for Tidegate itself.
#: Kinds by which people ask, whose status has their acts.
ASKING = frozenset({PROMOTION_KIND, RETRAINING_KIND})
_PRIVATE = frozenset({"record", "judge"})
_SECONDS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
#: Conditions whose good state is False.
_BAD = frozenset({"Stalled", "Reconciling"})


def data(body: Body) -> dict[str, Any]:
    """An object for programs: where it is, what people asked for, and its status as it stands."""
    meta = body["metadata"]
    status = {key: value for key, value in (body.get("status") or {}).items() if key not in _PRIVATE}
    asked = {action: annotation(body, action) for action in (*ACTIONS, DISMISS)}
    return {
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
        "generation": meta["generation"],
        "pausedBy": list(paused_by(body)),
        "annotations": {action: value for action, value in asked.items() if value is not None},
        "status": status,
    }


def detail(body: Body, now: datetime) -> list[str]:
    """One object in full."""
    meta, status = body["metadata"], body.get("status") or {}
    lines = [f"{meta['namespace']}/{meta['name']}  {status.get('phase', 'Unknown')}"]
    rows = [*_state(body, status, now), *_conditions(status)]
    width = max((len(name) for name, _ in rows), default=0)
    lines += [f"  {name.ljust(width)}  {text}" for name, text in rows]
    return [plain(line) for line in lines]


def table(bodies: Iterable[Body], now: datetime, *, everywhere: bool) -> list[str]:
    """Many objects, one a line."""
    rows = [("NAMESPACE", "NAME", "VERSION", "CANARY", "WEIGHT", "PHASE", "READY", "AGE", "MESSAGE")]
    for body in bodies:
        meta, status = body["metadata"], body.get("status") or {}
        ready = _condition(status, "Ready")
        weight = status.get("weight")
        rows.append((
            meta["namespace"],
            meta["name"],
            status.get("version", "-"),
            status.get("canary", "-"),
            "-" if weight is None else f"{weight}%",
            status.get("phase", "Unknown"),
            ready.get("status", "Unknown"),
            _age(meta["creationTimestamp"], now),
            ready.get("message", ""),
        ))  # fmt: skip
    return _columns([row if everywhere else row[1:] for row in rows])


def history(body: Body) -> list[str]:
    """Attempts that have ended, newest first."""
    rows = [("ATTEMPT", "RESULT", "STARTED", "TOOK", "MESSAGE")]
    for past in reversed((body.get("status") or {}).get("history") or []):
        took = _span((_time(past["ended"]) - _time(past["started"])).total_seconds())
        rows.append((named(past), past["reason"], past["started"], took, past["message"]))
    return _columns(rows)


def acts(body: Body) -> list[dict[str, Any]]:
    """The newest acts on an object, newest first, in the words of the audit trail (docs/reference/audit.md)."""
    if body.get("kind") in ASKING:
        return _asked(body)
    try:
        found = json.loads((body.get("status") or {}).get("record") or "{}").get("journal") or []
    except (ValueError, AttributeError):
        return []  # the operator says itself that it can't be read
    return [
        {
            "sequence": act["number"],
            "time": datetime.fromtimestamp(act["at"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "act": act["act"],
            "actor": act["actor"],
            "model": act["model"],
            "version": act["version"],
            "from": act.get("source", ""),
            "to": act.get("target", ""),
            "reason": act.get("reason", ""),
            "message": act.get("message", ""),
            "decision": act.get("decision", ""),
            "outcome": act.get("outcome", "done"),
        }
        for act in reversed(found)
    ]


def _asked(body: Body) -> list[dict[str, Any]]:
    """The acts on what somebody asks for with an object: its status has them, and its spec what they are about."""
    spec = body["spec"]
    about = {"model": spec["model"], "version": spec.get("version", "")}
    way = {"from": spec.get("from", ""), "to": spec.get("to", "")}
    return [
        {
            "sequence": act["number"],
            "time": act["time"],
            "act": act["act"],
            "actor": act["actor"],
            **about,
            **way,
            "reason": act.get("reason", ""),
            "message": act.get("message", ""),
            "decision": act.get("decision", ""),
            "outcome": act.get("outcome", "done"),
        }
        for act in reversed((body.get("status") or {}).get("acts") or [])
    ]


def trail(body: Body) -> list[str]:
    """The same as a table."""
    columns = ("sequence", "time", "act", "version", "from", "to", "actor", "outcome", "reason", "message")
    rows = [[str(act[name]) or "-" for name in columns] for act in acts(body)]
    return _columns([[name.upper() for name in columns], *rows])


def line(body: Body, now: datetime) -> str:
    """One change, on one line."""
    meta, status = body["metadata"], body.get("status") or {}
    ready = _condition(status, "Ready")
    rollout = status.get("rollout")
    canary = f" {named(rollout)} {rollout['weight']}%" if rollout else ""
    serves = f" serves {status['version']}" if status.get("version") else ""
    said = f" {ready['reason']}: {ready['message']}" if ready else ""
    stamp = now.astimezone(UTC).strftime("%H:%M:%S")
    return plain(f"{stamp} {meta['namespace']}/{meta['name']} {status.get('phase', 'Unknown')}{serves}{canary}{said}")


def plain(text: str) -> str:
    """Without what a terminal would act upon: messages hold words of pods and gateways."""
    return "".join(char if char.isprintable() else " " for char in text)


def _state(body: Body, status: Mapping[str, Any], now: datetime) -> Iterable[tuple[str, str]]:
    if status.get("observedGeneration", -1) < body["metadata"]["generation"]:
        yield "behind", "the operator has not looked at the newest spec yet: is it running?"
    stable, rollout = status.get("stable"), status.get("rollout")
    if stable:
        yield "serves", f"version {stable['version']} of {stable['model']} ({stable['revision']})"
    if rollout:
        step = f"step {rollout['step']} of {rollout['steps']}, {rollout['weight']}% of the traffic"
        took = _age(rollout["started"], now)
        yield (
            "rollout",
            f"version {rollout['version']}, attempt {rollout['attempt']} ({named(rollout)}): {step}, {took}",
        )
        if verdict := rollout.get("verdict"):
            yield "goes back", f"{verdict['reason']}: {verdict['message']}"
    if paused := paused_by(body):
        yield "paused", f"by {' and '.join(paused)}"
    if left := leftovers(body):
        yield "ignored", f"the annotation {', '.join(left)}: it names no attempt that it could act upon"
    if status.get("weights"):
        yield "confirmed", ", ".join(f"{entry['revision']} {entry['weight']}%" for entry in status["weights"])
    yield from _found(status)


def _found(status: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for finding in (status.get("rollout") or {}).get("findings") or ():
        mode = "" if finding["mode"] == "Enforce" else " (observed only)"
        yield "guard", f"{finding['guard']}{mode} {finding['verdict']}: {finding['message']}"
    for alert in status.get("alerts") or ():
        said = f": {alert['summary']}" if alert.get("summary") else ""
        yield "alert", f"{alert['name']} since {alert['since']}{said} ({alert['id']})"
    for kind in ("rejected", "parked"):
        for entry in (status.get(kind) or [])[-3:]:
            again = f", again at {entry['retryAt']}" if "retryAt" in entry else ""
            yield kind, f"{named(entry)} {entry['reason']}: {entry['message']}{again}"


def _conditions(status: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for condition in status.get("conditions") or ():
        good = "False" if condition["type"] in _BAD else "True"
        if condition["type"] == "Ready" or condition["status"] != good:
            said = f": {condition['message']}" if condition["message"] else ""
            yield condition["type"], f"{condition['status']}, {condition['reason']}{said}"
    ready = _condition(status, "Ready")
    if ready.get("status") != "True" and ready.get("reason") in set(Reason):
        yield "meaning", MEANING[Reason(ready["reason"])]


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next((found for found in status.get("conditions") or () if found["type"] == kind), {})


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    cleaned = [[plain(str(cell)) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cleaned, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cleaned]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _age(since: str, now: datetime) -> str:
    return _span((now - _time(since)).total_seconds())


def _span(seconds: float) -> str:
    """The two largest units, as kubectl writes ages: 41d, 3h12m, 45s."""
    left, parts = max(0, int(seconds)), []
    for unit, size in _SECONDS:
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return "".join(parts[:2]) or "0s"

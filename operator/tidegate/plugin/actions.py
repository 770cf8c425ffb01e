"""What the action verbs write, made from the live status: what the person sees, and nothing where it is moot."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.core.labels import DISMISS, GROUP
from tidegate.plugin.failures import Declined, Usage

Body = Mapping[str, Any]
_ATTEMPT = re.compile(r"[1-9][0-9]{0,8}/[1-9][0-9]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """The annotation `tidegate.dev/<action>` is to have `value` (None: it goes); `message` says what comes of it.

    `needed` is false where it has it already.
    """

    action: str
    value: str | None
    message: str
    needed: bool = True

    @property
    def key(self) -> str:
        """The annotation."""
        return f"{GROUP}/{self.action}"


def intent(action: str, body: Body, attempt: str | None = None) -> Intent:
    """What a verb comes to for an object as it is.

    `attempt` is the person's own choice, as `7/2`, in place of the one that the verb would take; for `dismiss`, the id
    of one alert in place of all.

    Raises:
        Declined: it would do nothing; the message says why, and what would do something.
        Usage: `attempt` names no version and attempt.
    """
    if action == DISMISS:
        return _dismiss(body, attempt)
    if attempt is not None and not _ATTEMPT.fullmatch(attempt):
        raise Usage(f"--attempt {attempt}: must name version and attempt, as in 7/2")
    return {"abort": _abort, "promote": _promote, "retry": _retry, "pause": _pause, "resume": _resume}[action](
        body, attempt
    )


def named(entry: Mapping[str, Any]) -> str:
    """How people name an attempt: `7/2`."""
    return f"{entry['version']}/{entry['attempt']}"


def annotation(body: Body, action: str) -> str | None:
    """The value of an action's annotation."""
    value = (body["metadata"].get("annotations") or {}).get(f"{GROUP}/{action}")
    return value if isinstance(value, str) else None


def paused_by(body: Body) -> tuple[str, ...]:
    """What pauses the rollout under way, or would pause the next one."""
    rollout = _status(body).get("rollout")
    own = rollout is not None and annotation(body, "pause") == named(rollout)
    return (*(("spec.paused",) if body["spec"].get("paused") else ()), *(("annotation",) if own else ()))


def leftovers(body: Body) -> tuple[str, ...]:
    """Action annotations that do nothing, as `abort=7/1`: done long ago, or naming what can't be acted upon."""
    status = _status(body)
    rollout = status.get("rollout")
    going = {named(rollout)} if rollout else set()
    failed = {named(entry) for kind in ("rejected", "parked") for entry in status.get(kind) or ()}
    meant = {"abort": going | failed, "promote": going, "pause": going, "retry": failed}
    notes = {action: annotation(body, action) for action in meant}
    return tuple(f"{action}={value}" for action, value in notes.items() if value not in {None, *meant[action]})


def _status(body: Body) -> Mapping[str, Any]:
    status: Mapping[str, Any] = body.get("status") or {}
    return status


def _under_way(body: Body, action: str, attempt: str | None) -> Mapping[str, Any]:
    rollout: Mapping[str, Any] | None = _status(body).get("rollout")
    if rollout is None:
        raise Declined(f"there is nothing to {action}: no rollout is under way")
    if attempt not in {None, named(rollout)}:
        raise Declined(f"there is nothing to {action} in {attempt}: {named(rollout)} is under way")
    return rollout


def _new(body: Body, action: str, value: str, message: str) -> Intent:
    return Intent(action=action, value=value, message=message, needed=annotation(body, action) != value)


def _abort(body: Body, attempt: str | None) -> Intent:
    parked = _entries(body, "parked")
    rollout = _status(body).get("rollout")
    if rollout is None or attempt in parked:
        entry = parked.get(attempt) if attempt else next(reversed(parked.values()), None)
        if entry is None:
            raise Declined("there is nothing to abort: no rollout is under way, and no such attempt is parked")
        message = f"version {entry['version']} is not tried again, if it is still asked for"
        return _new(body, "abort", named(entry), message)
    rollout = _under_way(body, "abort", attempt)
    verdict = rollout.get("verdict")
    if verdict and verdict["rejects"]:
        raise Declined(f"version {rollout['version']} is rejected already: {verdict['message']}")
    message = f"version {rollout['version']} goes off traffic and is rejected"
    return _new(body, "abort", named(rollout), message)


def _promote(body: Body, attempt: str | None) -> Intent:
    rollout = _under_way(body, "promote", attempt)
    if rollout.get("verdict"):
        raise Declined(f"version {rollout['version']} goes back: {rollout['verdict']['message']}")
    message = f"version {rollout['version']} gets all traffic without further holds, once its pods are ready"
    paused = paused_by(body)
    after = f", after the pause ({' and '.join(paused)}) is over" if paused else ""
    return _new(body, "promote", named(rollout), message + after)


def _retry(body: Body, attempt: str | None) -> Intent:
    known = _entries(body, "rejected") | _entries(body, "parked")
    entry = known.get(attempt) if attempt else max(known.values(), key=lambda found: found["time"], default=None)
    if entry is None:
        wanted = f": {', '.join(known)} could be" if known else ""
        raise Declined(f"there is nothing to retry{f' in {attempt}' if attempt else ''}{wanted}")
    rollout = _status(body).get("rollout")
    later = f", after the rollout of version {rollout['version']}" if rollout else ""
    message = f"version {entry['version']} is tried again if it is still asked for{later}"
    return _new(body, "retry", named(entry), message)


def _pause(body: Body, attempt: str | None) -> Intent:
    try:
        rollout = _under_way(body, "pause", attempt)
    except Declined as error:
        raise Declined(f"{error}; to keep a new one from starting, set spec.paused in the manifest") from None
    if rollout.get("verdict"):
        raise Declined(f"version {rollout['version']} goes back, which no pause stops: {rollout['verdict']['message']}")
    message = f"the rollout of version {rollout['version']} stands at {rollout['weight']}%; reverts go on"
    return _new(body, "pause", named(rollout), message)


def _resume(body: Body, attempt: str | None) -> Intent:
    value = annotation(body, "pause")
    if attempt not in {None, value}:
        raise Declined(f"the annotation that pauses names {value or 'nothing'}, not {attempt}")
    if body["spec"].get("paused"):
        also = " (the annotation stays, too)" if value else ""
        raise Declined(
            f"spec.paused pauses it, which belongs to the manifest: set it to false there, in Git if that owns it{also}"
        )
    message = "it goes on, its clocks run from where they stood" if value else "no annotation pauses it"
    return Intent(action="pause", value=None, message=message, needed=value is not None)


def _dismiss(body: Body, alert: str | None) -> Intent:
    known = {entry["id"]: entry["name"] for entry in _status(body).get("alerts") or ()}
    if alert is not None and alert not in known:
        raise Declined(f"no alert {alert} fires{': there are ' + ', '.join(known) if known else ''}")
    if not known:
        raise Declined("there is nothing to dismiss: no alert fires")
    wanted = {alert: known[alert]} if alert is not None else known
    message = f"{', '.join(wanted.values())}: holds nothing any more, until it begins anew"
    return _new(body, DISMISS, ",".join(wanted), message)


def _entries(body: Body, kind: str) -> dict[str, Mapping[str, Any]]:
    return {named(entry): entry for entry in _status(body).get(kind) or ()}

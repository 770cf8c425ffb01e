"""The alerts of one object: which of them are news, and what the record keeps of them.

An alert that began after the canary's first weight ends the rollout (`core.causes.alerted`). Whatever fires is kept in
the record, so that any replica may hear of it and the leader learns it from the route; while it is there, nothing is
raised. Silence lifts no hold: an alert goes when its sender says that it is resolved, when the time is over that the
sender gave it, or when a person dismisses it.
"""

from dataclasses import replace
from datetime import UTC, datetime

from tidegate.core.decision import MEMORY, Decision, Situation
from tidegate.core.labels import DISMISS
from tidegate.core.observed import Observed
from tidegate.core.reasons import Reason
from tidegate.core.record import Alert, Handled, Record

#: Seconds by which the clocks of sender and operator may differ.
CLOCKS = 5.0
#: Alerts kept of one object; further ones are not taken until one of these is gone.
MOST = 40
#: Characters kept of an alert's name and fingerprint, and of what its sender says about it.
LONGEST_NAME = 64
LONGEST_SUMMARY = 200
#: Seconds after which an alert that still holds a rollout is a person's business.
PATIENCE = 3600.0


def identity(alert: Alert) -> str:
    """How people name one occurrence of an alert: `<fingerprint>@<seconds since the epoch>`."""
    return f"{alert.fingerprint}@{alert.since:.0f}"


def is_news(record: Record, alert: Alert) -> bool:
    """Whether an alert that fires is unknown, or began again: not one that was told of before, or dismissed."""
    if Handled(action=DISMISS, value=identity(alert)) in record.handled:
        return False
    known = _known(record, alert)
    return known is None or alert.since > known.since + CLOCKS


def fresh(s: Situation, since: float) -> Alert | None:
    """The first alert just told of that is news and did not begin before `since`."""
    told = (alert for alert in s.seen.alerts.firing if not outdated(alert, s.now) and is_news(s.record, alert))
    return next((alert for alert in told if alert.since >= since - CLOCKS), None)


def noted(seen: Observed, record: Record) -> Record:
    """`record` (perhaps already changed) with what was told of alerts, and without what is over."""
    dismissed = _dismissed(seen, record)
    kept = tuple(a for a in record.alerts if not _over(seen, a) and identity(a) not in dismissed)
    for alert in seen.alerts.firing:
        known = replace(record, alerts=kept)
        if not outdated(alert, seen.now) and identity(alert) not in dismissed and missing(known, alert):
            others = tuple(a for a in kept if a.fingerprint != alert.fingerprint)
            kept = (*others, alert) if len(others) < MOST else kept
    handled = (*record.handled, *(Handled(action=DISMISS, value=value) for value in dismissed))
    return replace(record, alerts=kept, handled=handled[-MEMORY:] if dismissed else record.handled)


def missing(record: Record, alert: Alert) -> bool:
    """Whether the record does not show yet what was told of an alert that fires: that it does, or until when."""
    known = _known(record, alert)
    if known is None or known.until is None or is_news(record, alert):
        return is_news(record, alert)
    return alert.until is None or alert.until > known.until


def outdated(alert: Alert, now: float) -> bool:
    """Whether the time is over that its sender gave it."""
    return alert.until is not None and alert.until <= now


def over(record: Record, resolved: Alert) -> bool:
    """Whether the record has the very occurrence of an alert that was resolved (not a later one)."""
    known = _known(record, resolved)
    return known is not None and resolved.since >= known.since - CLOCKS


def informed(s: Situation) -> Decision | None:
    """Alerts were told of, resolved, dismissed, or their time is over: the record says so, the weights stay."""
    record = noted(s.seen, s.record)
    if record == s.record:
        return None
    come = [alert for alert in record.alerts if alert not in s.record.alerts]
    if come:
        effect = "nothing is raised until it is resolved" if s.plan.alerts.enforced else "guards.alerts only observes"
        return s.go(record, Reason.ALERT_NOTED, f"{describe(come[0])}: {effect}")
    gone = [alert for alert in s.record.alerts if alert not in record.alerts]
    named = ", ".join(alert.name for alert in gone) or "an alert"
    how = "dismissed by annotation" if record.handled != s.record.handled else "resolved or over"
    return s.go(record, Reason.ALERT_RESOLVED, f"{named}: {how}")


def lapses(record: Record, now: float) -> list[float]:
    """Seconds until the time is over that senders gave their alerts."""
    return [alert.until - now for alert in record.alerts if alert.until is not None and alert.until > now]


def describe(alert: Alert) -> str:
    """One line for a person."""
    began = datetime.fromtimestamp(alert.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = f": {alert.summary}" if alert.summary else ""
    return f"alert {alert.name} (since {began}){said}"


def _known(record: Record, alert: Alert) -> Alert | None:
    return next((a for a in record.alerts if a.fingerprint == alert.fingerprint), None)


def _over(seen: Observed, kept: Alert) -> bool:
    """Whether its time is over, or somebody said that it is resolved."""
    alone = replace(seen.record, alerts=(kept,))
    return outdated(kept, seen.now) or any(over(alone, alert) for alert in seen.alerts.resolved)


def _dismissed(seen: Observed, record: Record) -> tuple[str, ...]:
    """The alerts of the record that a person asks to forget, by identity."""
    asked = {value.strip() for value in seen.actions.get(DISMISS, "").split(",")}
    known = {identity(alert) for alert in (*record.alerts, *seen.alerts.firing)}
    return tuple(sorted(v for v in asked & known if Handled(action=DISMISS, value=v) not in record.handled))

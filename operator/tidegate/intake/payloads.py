"""What senders of alerts say, read and bounded: Alertmanager's webhook, version 4, and a plain form of one alert.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. Unknown fields are ignored, as Alertmanager
adds some now and then; of what is used nothing is believed before it was looked at.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from tidegate.core.alerts import LONGEST_NAME, LONGEST_SUMMARY
from tidegate.core.record import Alert

#: Alerts in one request, at most; Alertmanager's `max_alerts` bounds them at the sender.
MOST_ALERTS = 1000
#: Faults named in one answer.
_FAULTS = 5
_NAME = "alertname"
_TEXTS = ("summary", "message", "description")


class UnreadableAlertsError(Exception):
    """A body that is no alert; the message names what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What was said of one alert. `labels` tell whom it concerns."""

    labels: Mapping[str, str]
    firing: bool
    alert: Alert


def _moment(text: str) -> str:
    example = "such as 2026-11-21T10:00:00Z"
    try:
        moment = datetime.fromisoformat(text)
        # Back and forth: what can't be shown in UTC any more is no time to go by.
        datetime.fromtimestamp(moment.timestamp(), UTC)
    except (ValueError, OverflowError) as error:
        raise PydanticCustomError(
            "moment", "must be a time as RFC 3339 has it, {example}", {"example": example}
        ) from error
    if moment.tzinfo is None:
        raise PydanticCustomError("moment", "must have a time zone, {example}", {"example": example})
    return text


_Moment = Annotated[str, Field(max_length=64), AfterValidator(_moment)]
_Fingerprint = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=r"^[A-Za-z0-9_.:-]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, strict=True, frozen=True)


class _Alert(_Part):
    status: Literal["firing", "resolved"]
    labels: dict[str, str] = Field(max_length=256)
    annotations: dict[str, str] = Field(default_factory=dict, max_length=256)
    starts_at: _Moment
    ends_at: _Moment | None = None
    fingerprint: _Fingerprint | None = None


class _Webhook(_Part):
    version: Literal["4"]
    alerts: list[_Alert] = Field(max_length=MOST_ALERTS)


class _Plain(_Part):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=256)
    status: Literal["firing", "resolved"] = "firing"
    labels: dict[str, str] = Field(max_length=256)
    summary: str = ""
    starts_at: _Moment | None = None
    ends_at: _Moment | None = None


_Said = TypeVar("_Said", _Webhook, _Plain)


def alertmanager(body: bytes, now: float) -> list[Message]:
    """Read a webhook of Alertmanager.

    Raises:
        UnreadableAlertsError: with up to five paths and what is wrong there.
    """
    return [_message(alert, now) for alert in _read(_Webhook, body).alerts]


def plain(body: bytes, now: float) -> list[Message]:
    """Read `{"name": ..., "status": "firing", "labels": {...}, "summary": ..., "startsAt": ..., "endsAt": ...}`.

    Without `startsAt` it began now, without `endsAt` it fires until it is resolved.

    Raises:
        UnreadableAlertsError: as `alertmanager`.
    """
    said = _read(_Plain, body)
    stamp = datetime.fromtimestamp(now, UTC).isoformat()
    labels = {_NAME: said.name} | said.labels
    whole = {
        "status": said.status,
        "labels": labels,
        "annotations": {"summary": said.summary},
        "startsAt": said.starts_at or stamp,
        "endsAt": said.ends_at,
    }
    return [_message(_Alert.model_validate(whole), now)]


def _read(model: type[_Said], body: bytes) -> _Said:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        named = [f"{_path(fault['loc'])}: {fault['msg']}" for fault in faults[:_FAULTS]]
        more = f" (and {len(faults) - _FAULTS} more)" if len(faults) > _FAULTS else ""
        raise UnreadableAlertsError("; ".join(named) + more) from error


def _path(location: tuple[int | str, ...]) -> str:
    path = "body"
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{_line(part, LONGEST_NAME)}"
    return path


def _message(said: _Alert, now: float) -> Message:
    summary = next((said.annotations[name] for name in _TEXTS if said.annotations.get(name)), "")
    since, until = _seconds(said.starts_at), _seconds(said.ends_at) if said.ends_at else 0.0
    alert = Alert(
        fingerprint=said.fingerprint or _fingerprint(said.labels),
        name=_line(said.labels.get(_NAME, ""), LONGEST_NAME) or "alert",
        since=since if since > 0 else now,
        summary=_line(summary, LONGEST_SUMMARY),
        # Alertmanager gives the year 1 as the end of what fires: nobody knows it yet.
        until=until if until > 0 and said.status == "firing" else None,
    )
    return Message(labels=said.labels, firing=said.status == "firing", alert=alert)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _fingerprint(labels: Mapping[str, str]) -> str:
    """Of a sender that gives none: the same for the same labels, whatever their order."""
    text = "\0".join(f"{name}\0{value}" for name, value in sorted(labels.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _line(text: str, longest: int) -> str:
    """One line without anything that a terminal would act upon."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * longest]).split())
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"

"""The fullest record there can be still fits among an object's annotations."""

from dataclasses import replace

from tests.unit.core import builders as make

from tidegate.api.record import decode, encode
from tidegate.api.status import USER
from tidegate.core.alerts import LONGEST_NAME, LONGEST_SUMMARY, MOST
from tidegate.core.approvals import MOST as WORDS_KEPT
from tidegate.core.audit import Act, Entry
from tidegate.core.causes import LONGEST
from tidegate.core.decision import MEMORY, PARKED, PAST, REJECTIONS
from tidegate.core.journal import KEPT
from tidegate.core.journal import LONGEST as LONGEST_ENTRY
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.pointers import DISCARDS
from tidegate.core.reasons import Reason
from tidegate.core.record import (
    Alert,
    Approval,
    Asked,
    Discard,
    Handled,
    Parking,
    Past,
    Promotion,
    Proven,
    Record,
    Rejection,
    Retiring,
    Verdict,
)
from tidegate.core.values import Revision

#: Kubernetes' limit for all annotations of an object together, in bytes (apimachinery, TotalAnnotationSizeLimitB).
LIMIT = 256 * 1024
WORDS = "x" * LONGEST


def _revision(number: int) -> Revision:
    made = make.revision(number)
    version = replace(made.version, registry="https://mlflow.a-long-domain.example.com:5000/prefix", model="m" * 100)
    return replace(made, name=f"{'n' * 40}-v{number}-abcdefgh", version=version, preset="p" * 64)


def test_a_full_record_fits_and_survives() -> None:
    reason = Reason.PROGRESS_DEADLINE_EXCEEDED
    full = Record(
        stable=_revision(6),
        rollout=make.rollout(
            canary=_revision(7),
            asked=Asked(weight=100, since=make.NOW),
            approvals=tuple(
                Approval(weight=n, granted=True, approver="a" * USER, name="n" * 253, at=make.NOW)
                for n in range(WORDS_KEPT)
            ),
            restarts=tuple((f"{'n' * 60}-{pod}", 9) for pod in range(50)),
            verdict=Verdict(reason=reason, message=WORDS, rejects=True, at=make.NOW),
        ),
        retiring=tuple(Retiring(revision=_revision(n)) for n in range(5)),
        rejected=tuple(
            Rejection(revision=_revision(1000 + n), attempt=1, reason=reason, message=WORDS, at=make.NOW)
            for n in range(REJECTIONS)
        ),
        parked=tuple(
            Parking(
                revision=_revision(2000 + n),
                attempt=1,
                reason=reason,
                message=WORDS,
                at=make.NOW,
                tries=6,
                retry_at=make.NOW,
            )
            for n in range(PARKED)
        ),
        proven=tuple(Proven(revision=_revision(3000 + n), at=make.NOW) for n in range(MEMORY)),
        attempts=tuple((str(n), 1) for n in range(MEMORY)),
        handled=tuple(Handled(action="promote", value=f"{n}/1") for n in range(MEMORY)),
        history=tuple(
            Past(revision=_revision(n), attempt=1, reason=reason, message=WORDS, started=make.NOW, ended=make.NOW)
            for n in range(PAST)
        ),
        alerts=tuple(
            Alert(
                fingerprint=f"{n:064}",
                name="n" * LONGEST_NAME,
                since=make.NOW,
                summary="s" * LONGEST_SUMMARY,
                until=make.NOW,
            )
            for n in range(MOST)
        ),
        promotion=Promotion(
            version=_revision(7).version,
            pointer=Pointer(kind=PointerKind.ALIAS, value="a" * 255),
            before="6",
            candidate=Pointer(kind=PointerKind.ALIAS, value="b" * 255),
            at=make.NOW,
        ),
        tried=_revision(8).version,
        recalled=_revision(9).version,
        discards=tuple(
            Discard(
                version=_revision(n).version, candidate=Pointer(kind=PointerKind.ALIAS, value="b" * 255), at=make.NOW
            )
            for n in range(DISCARDS)
        ),
        journal=tuple(
            Entry(
                number=n,
                at=make.NOW,
                act=Act.WRITTEN_BACK,
                actor=f"user:{'u' * 100}",
                model="m" * 100,
                version="1000",
                source="s" * 100,
                target="t" * 100,
                reason=reason,
                message="x" * LONGEST_ENTRY,
                decision="abcdefgh",
            )
            for n in range(1, KEPT + 1)
        ),
    )
    text = encode(full)
    assert len(text.encode()) < LIMIT
    assert decode(text) == full

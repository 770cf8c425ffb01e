"""One judgement of what several sources say: anyone's breach is a breach, and a raise needs all of them."""

from collections.abc import Sequence

from tidegate.core.observed import Judgement
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable


def combined(parts: Sequence[Judgement | Unavailable]) -> Judgement | Unavailable:
    """Put the words of one rollout's sources together; there is at least one.

    A source that can't tell hides no breach of another, and keeps everything from being raised. The weight is the
    lowest that any of them judged, so that none of them is taken for newer than it is.
    """
    told = [part for part in parts if isinstance(part, Judgement)]
    silent = [part for part in parts if isinstance(part, Unavailable)]
    if not told:
        return silent[0]
    missing = [part.message for part in silent] + [part.missing for part in told if part.missing is not None]
    # A limit that one saw broken says more than the silence that another one heard.
    breaches = [part.breach for part in told if part.breach is not None]
    return Judgement(
        canary=told[0].canary,
        attempt=told[0].attempt,
        weight=min(part.weight for part in told),
        findings=tuple(finding for part in told for finding in part.findings),
        fresh=all(part.fresh for part in told),
        healthy=not missing and all(part.healthy for part in told),
        breach=min(breaches, key=lambda breach: breach.reason is Reason.UNREACHABLE, default=None),
        suspected=any(part.suspected for part in told),
        held=next((part.held for part in told if part.held is not None), None),
        missing="; ".join(missing) or None,
        drifted=next((part.drifted for part in told if part.drifted is not None), None),
    )

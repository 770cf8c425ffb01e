"""How a new version takes over: weights, holds and deadlines."""

from typing import Annotated, Literal

from pydantic import Field

from tidegate.api.rules import Rule, Wire
from tidegate.api.scalars import DURATION_PATTERN, Duration, between, seconds

#: What is done where a rollout names neither weights nor steps.
DEFAULT_WEIGHTS = (5, 25, 50, 100)
DEFAULT_HOLD = "5m"

_Weight = Annotated[int, Field(ge=1, le=100)]
_Hold = Annotated[Duration, between("0s", "720h")]
_MOST_STEPS = 16


class Step(Wire):
    """A weight and how long it is held."""

    weight: _Weight
    """Share of the traffic in per cent that the new version gets."""
    hold: _Hold
    """How long, from the moment that the gateway has confirmed the weight."""
    approval: bool = False
    """Whether somebody has to approve this weight, by a ModelApproval, before the new version gets it. A first
    deployment, which skips the steps, needs the last such approval; so does the annotation promote. The deadline stands
    still meanwhile."""


_Weights = Annotated[
    list[_Weight],
    Field(min_length=1, max_length=_MOST_STEPS),
    Rule(
        cel="self.isSorted() && self.all(w, self.exists_one(v, v == w))",
        holds=lambda weights: sorted(set(weights)) == weights,
        message="must rise from step to step, such as [5, 25, 50, 100]",
    ),
    Rule(
        cel="size(self) == 0 || self[size(self) - 1] >= 100",
        holds=lambda weights: weights[-1:] == [100],
        message="must end in 100: the last step is the bake",
    ),
]
_Steps = Annotated[
    list[Step],
    Field(min_length=1, max_length=_MOST_STEPS),
    Rule(
        cel="self.map(s, s.weight).isSorted() && self.all(s, self.exists_one(t, t.weight == s.weight))",
        holds=lambda steps: sorted({step.weight for step in steps}) == [step.weight for step in steps],
        message="must rise in weight from step to step",
    ),
    Rule(
        cel="size(self) == 0 || self[size(self) - 1].weight >= 100",
        holds=lambda steps: bool(steps) and steps[-1].weight == 100,  # noqa: PLR2004 (all traffic)
        message="must end in weight 100: the last step is the bake",
    ),
]


def _holds(rollout: "Rollout") -> list[float]:
    return [hold for _, hold, _ in rollout.plan()]


# Durations that are none have a finding of their own; duration() would only add its complaint to it.
_READABLE = f"matches('{DURATION_PATTERN}')"
_HOLD = f"duration(has(self.hold) ? self.hold : '{DEFAULT_HOLD}')"
_FITS = (
    f"!self.deadline.{_READABLE} || (has(self.hold) && !self.hold.{_READABLE}) || "
    f"(has(self.steps) && self.steps.exists(s, !s.hold.{_READABLE})) || "
    "(has(self.steps) ? self.steps.map(s, duration(s.hold)) : "
    f"has(self.weights) ? self.weights.map(w, {_HOLD}) : {list(DEFAULT_WEIGHTS)}.map(w, {_HOLD})).sum() "
    "<= duration(self.deadline)"
)


class Rollout(Wire):
    """How a new version takes over."""

    rules = (
        Rule(
            cel="!(has(self.weights) && has(self.steps))",
            holds=lambda rollout: rollout.weights is None or rollout.steps is None,
            message="give either weights (with one hold) or steps, not both",
            field="steps",
        ),
        Rule(
            cel="!(has(self.hold) && has(self.steps))",
            holds=lambda rollout: rollout.hold is None or rollout.steps is None,
            message="belongs to weights: each of the steps has a hold of its own",
            field="hold",
        ),
        Rule(
            cel=_FITS,
            holds=lambda rollout: round(sum(_holds(rollout)), 3) <= seconds(rollout.deadline),
            message="must be as long as all holds together: raise it or shorten the holds",
            field="deadline",
        ),
    )
    weights: _Weights | None = None
    """Shares of the traffic in per cent that the new version gets, step by step, rising and ending in 100. Absent, and
    without steps: 5, 25, 50, 100."""
    hold: _Hold | None = None
    """How long each of the weights is held, from the moment that the gateway has confirmed it. Absent: 5m."""
    steps: _Steps | None = None
    """Weights with a hold each, in place of weights and hold."""
    deadline: Annotated[Duration, between("1s", "2160h")] = "24h"
    """A rollout that has not finished by then goes back and is tried again later. A pause stops this clock."""
    progress_deadline: Annotated[Duration, between("1s", "24h")] = "15m"
    """A version whose pods are not ready by then is taken away and tried again later."""
    rollback_window: Annotated[Duration, between("0s", "2160h")] = "24h"
    """A version that finished its rollout within this time and is wanted again gets all traffic once it is ready."""

    on_revoke: Literal["Hold", "Revert"] = "Hold"
    """What a refusing ModelApproval does, also one that takes an earlier approval back: Hold raises nothing any more,
    Revert gives everything back to the version before and rejects the new one."""

    def plan(self) -> tuple[tuple[int, float, bool], ...]:
        """Return the weights with their holds in seconds and whether they ask for approval, defaults filled in."""
        if self.steps is not None:
            return tuple((step.weight, seconds(step.hold), step.approval) for step in self.steps)
        hold = seconds(self.hold if self.hold is not None else DEFAULT_HOLD)
        return tuple((weight, hold, False) for weight in (self.weights or DEFAULT_WEIGHTS))

"""The judge: one look's evidence in, verdict out, from the first canary request to the end of the bake.

For each guard it keeps two sets of counts. Against the canary: a `Process` that is never reset, so that the promise of
few false reverts covers the whole rollout. In its favour: plain counts since the present step was confirmed, since
requests at 5 % say nothing about 50 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tidegate.core.evidence import Edges, Look, Pair
from tidegate.core.findings import Case, Standing, describe
from tidegate.core.guards import FEWEST_REQUESTS, Absolute, Finding, Guard, Increase, Kind, Ratio, Verdict
from tidegate.core.judgement import ALPHA, GuardState, History, JudgeState, restart_step
from tidegate.core.sequential import (
    NEUTRAL,
    Count,
    Silence,
    absolute_factors,
    forecast_rate,
    two_sample_factors,
    upper_bound,
)
from tidegate.core.values import Unavailable

__all__ = ["ALPHA", "JudgeState", "Ruling", "judge", "restart_step"]

#: The chance of calling a canary unreachable that gets its share, over a whole rollout; being strict costs little.
SILENCE_ALPHA = 0.001
#: Looks in a row without any readable canary pod that make it unreachable.
UNREADABLE_LOOKS = 5
#: Looks in a row without a request that make it so at the earliest: a router may be slow to do what it confirmed.
SILENT_LOOKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What the judge says after a look, and what it has to remember.

    `verdict` is the overall one; with `BREACH`, `message` says why, and `blamed` is the guard's name, None where the
    canary is unreachable. `suspected`: the evidence against the canary is past the point where nothing may be raised.
    `held` says which limit stable itself is over at present, None if there is none.
    """

    state: JudgeState
    findings: tuple[Finding, ...]
    verdict: Verdict
    blamed: str | None = None
    message: str | None = None
    suspected: bool = False
    held: str | None = None


def judge(
    state: JudgeState, guards: Sequence[Guard], look: Look | Unavailable, *, weight: int, at_full: bool
) -> Ruling:
    """Take one look into account.

    `weight` is the per cent of requests that the router has confirmed for the canary, 0 if that is not known; it only
    tells whether silence means something: pods that nobody was sent to may be starting still. `at_full`: the canary has
    100 %, so that stable can be no measure any more.
    A look that is `Unavailable` changes nothing, and leaves nothing decided.
    """
    if isinstance(look, Unavailable):
        dockets = [_Docket.opened(state, guard, guards, Look(counts={}), at_full=at_full) for guard in guards]
        findings = tuple(docket.finding(state.threshold, blamed=False) for docket in dockets)
        return Ruling(state=state, findings=findings, verdict=Verdict.UNDECIDED)
    dockets = [_Docket.opened(state, guard, guards, look, at_full=at_full).heard() for guard in guards]
    after = replace(
        state,
        guards={docket.guard.identity: docket.state for docket in dockets},
        histories={docket.guard.metric: docket.history for docket in dockets},
        silence=state.silence if at_full else _listened(state.silence, look, weight),
        requests=state.requests + look.counts.get(Kind.ERROR_RATE.value, Pair()).canary.n,
    )
    return _ruling(after, dockets, fresh=bool(look.counts), unreachable=_unreachable(after, look) if weight else None)


def _listened(silence: Silence, look: Look, weight: int) -> Silence:
    """The evidence of silence after a look; one that cannot tell changes nothing."""
    if look.canary_arrived is None or not look.canary_arrived + look.stable_arrived or not weight:
        return silence
    return silence.after(canary=look.canary_arrived, stable=look.stable_arrived, weight=weight / 100)


def _unreachable(state: JudgeState, look: Look) -> str | None:
    """Why the canary is out of reach, if it is."""
    if look.unreadable >= UNREADABLE_LOOKS:
        return f"no metrics of any canary pod for {look.unreadable} looks, while stable's were read"
    silence = state.silence
    if silence.quiet_looks >= SILENT_LOOKS and silence.value >= state.threshold * ALPHA / SILENCE_ALPHA:
        return f"the canary counted no request while stable counted {silence.unheard}"
    return None


def _ruling(state: JudgeState, dockets: Sequence["_Docket"], *, fresh: bool, unreachable: str | None) -> Ruling:
    """Put the guards' evidence together.

    The mean of the enforced guards' e-values is an e-value whatever their dependence; the largest gets the blame.
    """
    enforced = [docket for docket in dockets if docket.guard.enforced]
    mean = sum(docket.state.against for docket in enforced) / len(enforced) if enforced else 0.0
    struck = [docket for docket in enforced if docket.state.struck]
    guilty = struck or (enforced if mean >= state.threshold else [])
    blamed = max(guilty, key=lambda docket: docket.state.against, default=None)
    findings = {docket.guard.name: docket.finding(state.threshold, blamed=docket is blamed) for docket in dockets}
    ruling = Ruling(state=state, findings=tuple(findings.values()), verdict=Verdict.UNDECIDED)
    if blamed is not None:
        message = findings[blamed.guard.name].message
        return replace(ruling, verdict=Verdict.BREACH, blamed=blamed.guard.name, message=message)
    if unreachable is not None:
        return replace(ruling, verdict=Verdict.BREACH, message=unreachable)
    healthy = all(findings[docket.guard.name].verdict is Verdict.HEALTHY for docket in enforced) and (
        bool(enforced) or (fresh and state.requests >= FEWEST_REQUESTS)
    )
    return replace(
        ruling,
        verdict=Verdict.HEALTHY if healthy else Verdict.UNDECIDED,
        suspected=any(docket.suspected(state.threshold) for docket in enforced),
        held=next((finding.message for finding in ruling.findings if finding.held), None),
    )


def _points(guard: Guard) -> float:
    return guard.test.points if isinstance(guard.test, Increase) else 0.0


def _bound(guard: Guard, before: History, *, at_full: bool) -> float | None:
    """The limit as a plain share, from stable's earlier looks where it follows stable."""
    if isinstance(guard.test, Absolute):
        return guard.test.limit
    if isinstance(guard.test, Ratio) and not at_full:
        return None
    return upper_bound(before.minutes, ALPHA) * guard.share_factor + _points(guard)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Docket:
    """One guard before the judge: what is known of it, and what this look brings.

    `pair` is None where no pod of the canary can tell. `before` is stable's history without this look: limits that
    follow stable's rate may use earlier looks only, or the canary would be compared with a limit made after the fact.
    `bound` is the limit as a plain share, None where it is a ratio to what stable does in the same look. `held`:
    stable's last looks, `lately`, are over it themselves.
    """

    guard: Guard
    state: GuardState
    before: History
    history: History
    pair: Pair | None
    edges: Edges | None
    at_full: bool
    resting: bool
    lately: Count
    bound: float | None
    held: bool

    @classmethod
    def opened(
        cls, state: JudgeState, guard: Guard, guards: Sequence[Guard], look: Look, *, at_full: bool
    ) -> "_Docket":
        """The guard's case, before the look is heard."""
        pair = look.counts.get(guard.metric)
        before = state.histories.get(guard.metric, History())
        history = before.after(pair.stable) if pair else before
        lately = history.recent
        bound = _bound(guard, before, at_full=at_full)
        # A single bad request of stable is no outage.
        over = bound is not None and lately.bad > 1 and lately.share > bound
        return cls(
            guard=guard,
            state=state.guards.get(guard.identity, GuardState()),
            before=before,
            history=history,
            pair=pair,
            edges=look.edges.get(guard.metric),
            at_full=at_full,
            resting=at_full and guard.relative and any(guard.yields_to(other) for other in guards),
            lately=lately,
            bound=bound,
            held=over and not at_full,
        )

    def heard(self) -> "_Docket":
        """With the look taken into account; one that cannot be compared with anything changes nothing."""
        if self.pair is None or self.resting or not self.pair.canary.n:
            return self
        bound, held = self.bound, self.held
        if bound is None and not self.pair.stable.n:
            return self
        strikes = self.pair.canary.bad if bound == 0 and not held else 0
        state = self.state.after(self.pair, self._factors(bound), favourable=not held, strikes=strikes)
        return replace(self, state=state)

    def _factors(self, bound: float | None) -> tuple[float, ...]:
        pair = self.pair or Pair()
        if bound is None:
            forecast = forecast_rate(self.before.minutes, self.before.recent)
            return two_sample_factors(self.guard.share_factor, forecast, pair.canary, pair.stable)
        if self.held:
            # Stable is over the limit: what it does now, in this look and lately, is the measure until it is not.
            worst = max(upper_bound(self.lately, ALPHA), upper_bound(pair.stable, ALPHA))
            bound = max(bound, worst + _points(self.guard))
        return absolute_factors(bound, pair.canary) if 0 < bound < 1 else NEUTRAL

    def suspected(self, threshold: float) -> bool:
        """Whether the evidence against the canary is strong enough to raise nothing."""
        return self.state.process.value >= math.sqrt(threshold) or self.state.strikes > 0

    def finding(self, threshold: float, *, blamed: bool) -> Finding:
        """What is to be told of the guard."""
        breached = blamed or (not self.guard.enforced and (self.state.against >= threshold or self.state.struck))
        standing = Standing.BREACHED if breached else self._standing(threshold)
        counts = self.state.run if standing in (Standing.BREACHED, Standing.SUSPECTED) else self.state.favour
        bound = self.bound if isinstance(self.guard.test, Absolute) or self.at_full else None
        case = Case(standing=standing, counts=counts, stable_lately=self.lately, bound=bound, edges=self.edges)
        return Finding(
            guard=self.guard.name,
            mode=self.guard.mode,
            verdict=_VERDICTS.get(standing, Verdict.UNDECIDED),
            value=counts.canary.share if counts.canary.n else None,
            limit=self._limit(counts.stable) if bound is None else bound,
            samples=counts.canary.n,
            bad=counts.canary.bad,
            log_e=math.log(max(self.state.process.value, _TINIEST)),
            message=describe(self.guard, case),
            held=standing is Standing.HELD,
            edge=self.edges.canary if self.edges else None,
        )

    def _limit(self, stable: Count) -> float | None:
        """The limit that stable's share makes, None as long as there is none."""
        if not stable.n:
            return None
        return min(1.0, stable.share * self.guard.share_factor + _points(self.guard))

    def _standing(self, threshold: float) -> Standing:
        """Where the guard stands, if it is not breached."""
        favour = self.state.favour
        compared = self.guard.relative and not self.at_full
        rules = (
            (self.resting, Standing.RESTING),
            (self.pair is None, Standing.UNANSWERED),
            (self.held, Standing.HELD),
            (self.suspected(threshold), Standing.SUSPECTED),
            (compared and not favour.stable.n, Standing.WITHOUT_STABLE),
            (favour.canary.n < self.guard.requests_needed, Standing.TOO_FEW),
            (not self._within(favour), Standing.OVER),
        )
        return next((standing for applies, standing in rules if applies), Standing.WITHIN)

    def _within(self, favour: Pair) -> bool:
        """Whether the estimate is within the limit. A single bad request is no estimate of a ratio."""
        bound = self.bound if isinstance(self.guard.test, Absolute) or self.at_full else self._limit(favour.stable)
        lenient = isinstance(self.guard.test, Ratio) and favour.canary.bad <= 1
        return lenient or (bound is not None and favour.canary.share <= bound)


_VERDICTS = {
    Standing.BREACHED: Verdict.BREACH,
    Standing.RESTING: Verdict.HEALTHY,
    Standing.WITHIN: Verdict.HEALTHY,
}
_TINIEST = 1e-300

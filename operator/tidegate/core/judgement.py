"""What the judge remembers between looks, and how it is saved: small enough for an object's status."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any

from tidegate.core.evidence import Pair
from tidegate.core.sequential import Count, Process, Silence

#: The chance of reverting a canary whose every guard holds, over a whole rollout.
ALPHA = 0.01
#: A breach needs this many bad requests in two looks or more, or `MANY_BAD` in one.
FEW_BAD = 3
MANY_BAD = 10
#: Stable's own state is that of its last looks; its usual rate that of its last minutes, in blocks of looks.
STABLE_LOOKS = 10
BLOCK_LOOKS = 30
BLOCKS = 6
#: Sums of floats that would be exactly 1 may miss it by this much.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class History:
    """What stable did with regard to one metric: its last looks with requests, and its last minutes in blocks."""

    looks: tuple[Count, ...] = ()
    blocks: tuple[Count, ...] = ()
    filled: int = 0

    def after(self, count: Count) -> "History":
        """With one more look. A look without requests says nothing."""
        if not count.n:
            return self
        looks = (*self.looks, count)[-STABLE_LOOKS:]
        if not self.blocks or self.filled == BLOCK_LOOKS:
            return History(looks, (*self.blocks, count)[-BLOCKS:], 1)
        return History(looks, (*self.blocks[:-1], self.blocks[-1] + count), self.filled + 1)

    @property
    def recent(self) -> Count:
        """The last looks together."""
        return _together(self.looks)

    @property
    def minutes(self) -> Count:
        """The last minutes together."""
        return _together(self.blocks)


def _together(counts: Sequence[Count]) -> Count:
    return Count(sum([count.n for count in counts]), sum([count.bad for count in counts]))


@dataclass(frozen=True, slots=True)
class GuardState:
    """What is known with regard to one guard.

    `favour` counts since the step was confirmed. `run` counts since the e-value was last at most 1, that is since
    there is any suspicion: in `run_looks` looks with bad requests, at most `run_most` bad ones in one. `strikes` are
    the bad requests against a limit of 0 %.
    """

    process: Process = field(default_factory=Process)
    favour: Pair = field(default_factory=Pair)
    run: Pair = field(default_factory=Pair)
    run_looks: int = 0
    run_most: int = 0
    strikes: int = 0

    @property
    def substantial(self) -> bool:
        """Whether there are bad requests enough to revert on, however unlikely a single one may be."""
        return self.run_most >= MANY_BAD or (self.run_looks > 1 and self.run.canary.bad >= FEW_BAD)

    @property
    def struck(self) -> bool:
        """Whether a limit of 0 % was broken too often to be an accident."""
        return self.strikes >= FEW_BAD

    @property
    def against(self) -> float:
        """The e-value, but no more than 1 as long as there are not bad requests enough to revert on."""
        return self.process.value if self.substantial else min(1.0, self.process.value)

    def after(self, pair: Pair, factors: tuple[float, ...], *, favourable: bool, strikes: int) -> "GuardState":
        """With one more look. `favourable`: it may count in favour as well (stable is not over the limit itself)."""
        process = self.process.after(factors)
        favour = self.favour + pair if favourable else self.favour
        strikes += self.strikes
        if process.value <= 1.0 + _ROUNDING and not strikes:
            return GuardState(process, favour)
        bad = pair.canary.bad
        return GuardState(
            process, favour, self.run + pair, self.run_looks + (bad > 0), max(self.run_most, bad), strikes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeState:
    """What has to be remembered of one rollout.

    `guards` by `Guard.identity`, `histories` by `Guard.metric`. `restarts` is how often the judge had to start anew
    because nothing was saved; each time the threshold rises. `requests` are the canary's since the present step was
    confirmed. `judges` is how many sources are judged, each by a judge of its own: they share the chance of a false
    revert (Bonferroni).
    """

    guards: Mapping[str, GuardState] = field(default_factory=dict)
    histories: Mapping[str, History] = field(default_factory=dict)
    silence: Silence = field(default_factory=Silence)
    requests: int = 0
    restarts: int = 0
    judges: int = 1

    @property
    def threshold(self) -> float:
        """The e-value that reverts: 1/alpha, and r(r+1)/alpha for a process that starts anew the r-th time.

        Times the number of judges.
        """
        return self.judges * max(1, self.restarts * (self.restarts + 1)) / ALPHA

    def to_wire(self) -> dict[str, Any]:
        """As JSON values, below 4 kB for six guards."""
        return {
            "guards": {identity: _guard_to_wire(guard) for identity, guard in self.guards.items()},
            "histories": {
                metric: [_counts_to_wire(history.looks), _counts_to_wire(history.blocks), history.filled]
                for metric, history in self.histories.items()
            },
            "silence": list(astuple(self.silence)),
            "requests": self.requests,
            "restarts": self.restarts,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> "JudgeState":
        """The inverse of `to_wire`.

        Raises:
            ValueError: it is not what `to_wire` writes; start with a new state that counts this restart.
        """
        try:
            return cls(
                guards={identity: _guard_from_wire(guard) for identity, guard in wire["guards"].items()},
                histories={
                    metric: History(_counts_from_wire(looks), _counts_from_wire(blocks), filled)
                    for metric, (looks, blocks, filled) in wire["histories"].items()
                },
                silence=Silence(*wire["silence"]),
                requests=wire["requests"],
                restarts=wire["restarts"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no saved judgement: {error!r}") from error


def restart_step(state: JudgeState) -> JudgeState:
    """Forget what speaks in favour: to be called when the router confirms a step's weight, and after a take-over."""
    return replace(
        state,
        guards={identity: replace(guard, favour=Pair()) for identity, guard in state.guards.items()},
        requests=0,
    )


def _counts_to_wire(counts: Sequence[Count]) -> list[int]:
    return [number for count in counts for number in (count.n, count.bad)]


def _counts_from_wire(wire: Sequence[int]) -> tuple[Count, ...]:
    return tuple(Count(n, bad) for n, bad in zip(wire[::2], wire[1::2], strict=True))


def _guard_to_wire(guard: GuardState) -> list[Any]:
    pairs = (guard.favour.canary, guard.favour.stable, guard.run.canary, guard.run.stable)
    sums = list(guard.process.sums)
    return [guard.process.looks, sums, _counts_to_wire(pairs), guard.run_looks, guard.run_most, guard.strikes]


def _guard_from_wire(wire: Sequence[Any]) -> GuardState:
    looks, sums, pairs, run_looks, run_most, strikes = wire
    favour_canary, favour_stable, run_canary, run_stable = _counts_from_wire(pairs)
    return GuardState(
        process=Process(looks, tuple(sums)),
        favour=Pair(favour_canary, favour_stable),
        run=Pair(run_canary, run_stable),
        run_looks=run_looks,
        run_most=run_most,
        strikes=strikes,
    )

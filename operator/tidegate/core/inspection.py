"""What each gate finds by what the registry tells of a version."""

from collections.abc import Iterator

from tidegate.core.gates import LARGEST_EXAMPLE, AtGates, GateFinding, Gates, MetricGate, Outcome
from tidegate.core.semver import read, within
from tidegate.core.signatures import SignaturePolicy, differences

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
#: Characters of a tag's value that are shown.
_LONGEST = 100
#: Differences of a signature that are named.
_MOST = 5


def judge_registered(gates: Gates, candidate: AtGates) -> tuple[GateFinding, ...]:
    """What the gates find that need nothing but the registry's word."""
    checks = (_tags, _age, _metrics, _semver, _signature, _size, _example)
    return tuple(found for check in checks for found in check(gates, candidate))


def _tags(gates: Gates, candidate: AtGates) -> Iterator[GateFinding]:
    # A tag is a person's or a pipeline's word and may be the next minute's, whatever it says now: it is waited for.
    for name, wanted in gates.tags:
        found = candidate.details.tags.get(name)
        shown = None if found is None else _cut(found)
        passed = found is not None and wanted in {None, found}
        if passed:
            message = f"tag {name} is {shown!r}"
        elif found is None:
            message = f"version {candidate.version.number} has no tag {name}: set it" + _to(wanted)
        else:
            message = f"tag {name} of version {candidate.version.number} is {shown!r}: set it" + _to(wanted)
        yield GateFinding(
            gate=f"tags.{name}",
            outcome=Outcome.PASSED if passed else Outcome.WAITING,
            message=message,
            value=shown,
            limit=wanted,
        )


def _age(gates: Gates, candidate: AtGates) -> Iterator[GateFinding]:
    if gates.max_age is None:
        return
    age = max(0.0, candidate.now - candidate.details.created)
    young = age <= gates.max_age or candidate.serves
    number, limit = candidate.version.number, span(gates.max_age)
    yield GateFinding(
        gate="maxAge",
        outcome=Outcome.PASSED if young else Outcome.FAILED,
        message=f"version {number} was registered {span(age)} ago, {limit} are allowed"
        + (": it serves already" if candidate.serves else ""),
        value=span(age),
        limit=limit,
    )


def _metrics(gates: Gates, candidate: AtGates) -> Iterator[GateFinding]:
    known, number = candidate.details.metrics, candidate.version.number
    for gate in gates.metrics:
        value = None if known is None else known.get(gate.name)
        if known is None:
            outcome, message = Outcome.FAILED, f"version {number} has no run, and so no metrics"
        elif value is None:
            outcome, message = Outcome.WAITING, f"the run of version {number} has no metric {gate.name}: log it"
        else:
            # What is no number is within no limit.
            low = gate.least is None or value >= gate.least
            high = gate.most is None or value <= gate.most
            outcome = Outcome.PASSED if low and high else Outcome.FAILED
            message = f"{gate.name} of version {number} is {value:.6g}, asked for is {_limits(gate)}"
        yield GateFinding(
            gate=f"metrics.{gate.name}",
            outcome=outcome,
            message=message,
            value=None if value is None else f"{value:.6g}",
            limit=_limits(gate),
        )


def _limits(gate: MetricGate) -> str:
    bounds = (("at least", gate.least), ("at most", gate.most))
    return " and ".join(f"{words} {bound:g}" for words, bound in bounds if bound is not None)


def _semver(gates: Gates, candidate: AtGates) -> Iterator[GateFinding]:
    gate = gates.semver
    if gate is None:
        return
    text, number = candidate.details.tags.get(gate.tag), candidate.version.number
    shown, limit = None if text is None else _cut(text), gate.range
    version = read(text) if text is not None else None
    other = candidate.stable.tags.get(gate.tag) if candidate.stable is not None else None
    stable = read(other) if other is not None and gate.not_below_stable and not candidate.serves else None
    if version is None:
        was = "has no" if shown is None else f"says {shown!r}, which is no semantic version, in"
        outcome, message = Outcome.WAITING, f"version {number} {was} tag {gate.tag}: set it to one such as 1.4.0"
    elif gate.range is not None and not within(version, gate.range):
        outcome, message = Outcome.FAILED, f"version {number} is {shown} by tag {gate.tag}, asked for is {gate.range}"
    elif stable is not None and version < stable:
        limit = f">={other}"
        outcome, message = Outcome.FAILED, f"version {number} is {shown} by tag {gate.tag}, below stable's {other}"
    else:
        outcome, message = Outcome.PASSED, f"version {number} is {shown} by tag {gate.tag}"
    yield GateFinding(gate="semver", outcome=outcome, message=message, value=shown, limit=limit)


def _signature(gates: Gates, candidate: AtGates) -> Iterator[GateFinding]:
    policy, model = gates.signature, candidate.details.model
    if policy is SignaturePolicy.IGNORE:
        return
    mine = model.signature if model is not None else None
    theirs = candidate.stable.model.signature if candidate.stable is not None and candidate.stable.model else None
    if candidate.serves or theirs is None:
        outcome, message = Outcome.PASSED, "there is no signature of another version to compare with"
    elif mine is None:
        outcome = Outcome.FAILED
        message = f"version {candidate.version.number} has no signature and stable has one: log it with a signature"
    else:
        against = differences(theirs, mine, policy)
        outcome = Outcome.FAILED if against else Outcome.PASSED
        message = "; ".join(against[:_MOST]) if against else "the signature suits those who use stable"
    yield GateFinding(gate="signature", outcome=outcome, message=message, limit=policy.value)


def _size(gates: Gates, candidate: AtGates) -> Iterator[GateFinding]:
    if gates.max_size is None:
        return
    model, number = candidate.details.model, candidate.version.number
    size = model.size if model is not None else None
    limit = _bytes(gates.max_size)
    if size is None:
        message = f"version {number} does not say how large it is: log it with MLflow 2.0 or newer (model_size_bytes)"
    else:
        message = f"version {number} has {_bytes(size)}, {limit} are allowed"
    fits = size is not None and size <= gates.max_size
    yield GateFinding(
        gate="maxSize",
        outcome=Outcome.PASSED if fits else Outcome.FAILED,
        message=message,
        value=None if size is None else _bytes(size),
        limit=limit,
    )


def _example(gates: Gates, candidate: AtGates) -> Iterator[GateFinding]:
    if not gates.wants.example:
        return
    example, number = candidate.details.example, candidate.version.number
    way_out = "or write the request into spec.gates.request.body"
    if example is None:
        message = f"version {number} has no saved input example: log it with input_example (MLflow 2.16 or newer), "
        outcome, message = Outcome.FAILED, message + way_out
    elif len(example) > LARGEST_EXAMPLE:
        message = (
            f"the saved input example of version {number} is larger than {_bytes(LARGEST_EXAMPLE)}: log it with a "
        )
        outcome, message = Outcome.FAILED, f"{message}smaller one, {way_out}"
    else:
        outcome, message = Outcome.PASSED, f"version {number} has a saved input example of {_bytes(len(example))}"
    yield GateFinding(gate="request", outcome=outcome, message=message, limit=f"at most {_bytes(LARGEST_EXAMPLE)}")


def _bytes(size: int) -> str:
    """`512 B`, `1.5 MiB`."""
    power = max(0, min(4, (size.bit_length() - 1) // 10))
    return f"{size / 1024**power:.4g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def span(seconds: float) -> str:
    """A length of time for a person, as coarse as it may be: `90 s`, `90 min`, `36 h`, `45 days`."""
    units = ((2 * _DAY, _DAY, "days"), (2 * _HOUR, _HOUR, "h"), (2 * _MINUTE, _MINUTE, "min"))
    size, word = next(((unit, word) for least, unit, word in units if seconds >= least), (1.0, "s"))
    return f"{seconds / size:.4g} {word}" if seconds % size == 0 else f"{seconds // size:.0f} {word}"


def _cut(word: str) -> str:
    return word if len(word) <= _LONGEST else f"{word[: _LONGEST - 1]}…"


def _to(wanted: str | None) -> str:
    return "" if wanted is None else f" to {wanted!r}"

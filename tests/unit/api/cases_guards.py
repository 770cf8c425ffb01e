"""What is wrong about guards and evidence."""

from tests.unit.api.case import CUSTOM, wrong

GUARDS = (
    wrong("a limit above 100 %", "spec.guards.errorRate.max", {"guards": {"errorRate": {"max": "150%"}}}),
    wrong("a limit of 100 %", "spec.guards.errorRate.max", {"guards": {"errorRate": {"max": "100%"}}}),
    wrong("a limit without its sign", "spec.guards.errorRate.max", {"guards": {"errorRate": {"max": "0.01"}}}),
    wrong("a negative limit", "spec.guards.errorRate.max", {"guards": {"errorRate": {"max": "-1%"}}}),
    wrong("a limit as a number", "spec.guards.errorRate.max", {"guards": {"errorRate": {"max": 0.01}}}),
    wrong(
        "an increase above 100 %",
        "spec.guards.errorRate.maxIncrease",
        {"guards": {"errorRate": {"maxIncrease": "101%"}}},
    ),
    wrong("a ratio below 1", "spec.guards.errorRate.maxRatio", {"guards": {"errorRate": {"maxRatio": "0.9"}}}),
    wrong(
        "a ratio that is no number", "spec.guards.errorRate.maxRatio", {"guards": {"errorRate": {"maxRatio": "twice"}}}
    ),
    wrong("an error rate without a limit", "spec.guards.errorRate", {"guards": {"errorRate": {"mode": "Observe"}}}),
    wrong("client errors without a limit", "spec.guards.clientErrors.maxRatio", {"guards": {"clientErrors": {}}}),
    wrong("an unknown mode", "spec.guards.mode", {"guards": {"mode": "Warn"}}),
    wrong("a latency without a limit", "spec.guards.latency[0]", {"guards": {"latency": [{"percentile": "95"}]}}),
    wrong(
        "a latency without a percentile", "spec.guards.latency[0].percentile", {"guards": {"latency": [{"max": "1s"}]}}
    ),
    wrong(
        "percentile 100",
        "spec.guards.latency[0].percentile",
        {"guards": {"latency": [{"percentile": "100", "max": "1s"}]}},
    ),
    wrong(
        "percentile nought",
        "spec.guards.latency[0].percentile",
        {"guards": {"latency": [{"percentile": "0", "max": "1s"}]}},
    ),
    wrong(
        "one percentile twice",
        "spec.guards.latency",
        {"guards": {"latency": [{"percentile": "95", "max": "1s"}, {"percentile": "95.0", "maxRatio": "2"}]}},
    ),
    wrong(
        "a latency of nothing",
        "spec.guards.latency[0].max",
        {"guards": {"latency": [{"percentile": "95", "max": "0s"}]}},
    ),
    wrong(
        "a guard on latency that nothing feeds",
        "spec.guards.latency",
        {"serving": CUSTOM, "guards": {"latency": [{"percentile": "95", "max": "1s"}]}},
    ),
    wrong("no source at all", "spec.evidence", {"evidence": {"pods": False}}),
    wrong("an empty list for a source", "spec.evidence", {"evidence": {"pods": False, "prometheus": []}}),
    wrong("a gateway that nobody knows", "spec.evidence.prometheus[0]", {"evidence": {"prometheus": ["haproxy"]}}),
    wrong("a source twice", "spec.evidence.prometheus[1]", {"evidence": {"prometheus": ["istio", "istio"]}}),
    wrong(
        "errors by a source that knows none",
        "spec.guards.errorRate",
        {"evidence": {"pods": False, "prometheus": ["kserve"]}, "guards": {"errorRate": {"max": "1%"}}},
    ),
    wrong(
        "client errors by a source that knows none",
        "spec.guards.clientErrors",
        {"evidence": {"pods": False, "prometheus": ["triton"]}, "guards": {"clientErrors": {"maxRatio": "2"}}},
    ),
    wrong(
        "a latency by a source that knows none",
        "spec.guards.latency",
        {
            "evidence": {"pods": False, "prometheus": ["triton"]},
            "guards": {"latency": [{"percentile": "95", "max": "1s"}]},
        },
    ),
    wrong(
        "a latency beyond the end of a source's histogram",
        "spec.guards.latency",
        {"evidence": {"prometheus": ["kserve"]}, "guards": {"latency": [{"percentile": "95", "max": "10s1ms"}]}},
    ),
    wrong(
        "a query without a limit",
        "spec.guards.queries[0]",
        {"guards": {"queries": [{"name": "a", "promql": "vector(1)"}]}},
    ),
    wrong(
        "a query that names what nobody knows",
        "spec.guards.queries[0].promql",
        {"guards": {"queries": [{"name": "a", "promql": 'x{pod="${pod}"}', "max": "1"}]}},
    ),
    wrong(
        "a query of blanks",
        "spec.guards.queries[0].promql",
        {"guards": {"queries": [{"name": "a", "promql": "  ", "max": "1"}]}},
    ),
    wrong(
        "a limit of a query that is no number",
        "spec.guards.queries[0].max",
        {"guards": {"queries": [{"name": "a", "promql": "x", "max": "1e3"}]}},
    ),
    wrong(
        "a query held for days",
        "spec.guards.queries[0].for",
        {"guards": {"queries": [{"name": "a", "promql": "x", "max": "1", "for": "25h"}]}},
    ),
    wrong(
        "two queries of one name",
        "spec.guards.queries[1]",
        {"guards": {"queries": [{"name": "a", "promql": "x", "max": "1"}, {"name": "a", "promql": "y", "max": "1"}]}},
    ),
    wrong(
        "drift that no page tells of",
        "spec.guards.drift",
        {"serving": {"runtime": "mlserver"}, "guards": {"drift": {}}},
    ),
    wrong(
        "drift without the pods' pages",
        "spec.guards.drift",
        {"evidence": {"pods": False, "prometheus": ["tidegate"]}, "guards": {"drift": {}}},
    ),
    wrong("drift of nothing", "spec.guards.drift.maxPsi", {"guards": {"drift": {"maxPsi": "0"}}}),
    wrong("drift of anything", "spec.guards.drift.maxPsi", {"guards": {"drift": {"maxPsi": "11"}}}),
    wrong("drift as a number", "spec.guards.drift.maxPsi", {"guards": {"drift": {"maxPsi": 0.25}}}),
    wrong("drift of too few", "spec.guards.drift.minPredictions", {"guards": {"drift": {"minPredictions": 499}}}),
    wrong("drift with an unknown end", "spec.guards.drift.onDrift", {"guards": {"drift": {"onDrift": "Tell"}}}),
    wrong("alerts by no label", "spec.guards.alerts.matchLabels", {"guards": {"alerts": {"matchLabels": {}}}}),
    wrong(
        "alerts by a name that is no label's",
        "spec.guards.alerts.matchLabels",
        {"guards": {"alerts": {"matchLabels": {"tidegate.dev/team": "risk"}}}},
    ),
    wrong(
        "alerts by a label without a value",
        "spec.guards.alerts.matchLabels.team",
        {"guards": {"alerts": {"matchLabels": {"team": ""}}}},
    ),
    wrong("alerts in an unknown mode", "spec.guards.alerts.mode", {"guards": {"alerts": {"mode": "Warn"}}}),
    wrong("no requests", "spec.guards.minRequests", {"guards": {"minRequests": 0}}),
    wrong("an interval that is too short", "spec.guards.interval", {"guards": {"interval": "100ms"}}),
    wrong("an interval that is too long", "spec.guards.interval", {"guards": {"interval": "61s"}}),
    wrong("a timeout of nothing", "spec.guards.timeout", {"guards": {"timeout": "0s"}}),
)

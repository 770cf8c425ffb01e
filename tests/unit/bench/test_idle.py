from tests.bench.idle import requests

METRICS = """\
# HELP apiserver_flowcontrol_dispatched_requests_total [BETA] Number of requests executed by API Priority and Fairness
# TYPE apiserver_flowcontrol_dispatched_requests_total counter
apiserver_flowcontrol_dispatched_requests_total{flow_schema="bench-reads",priority_level="workload-low"} 41
apiserver_flowcontrol_dispatched_requests_total{flow_schema="bench-writes",priority_level="workload-low"} 1.2e+01
apiserver_flowcontrol_dispatched_requests_total{flow_schema="bench-writes",priority_level="catch-all"} 3
apiserver_flowcontrol_current_executing_requests{flow_schema="bench-writes",priority_level="workload-low"} 7
"""


def test_requests_of_one_account_are_read_from_the_api_servers_own_counters() -> None:
    assert requests(METRICS, "bench-writes") == 15
    assert requests(METRICS, "bench-reads") == 41


def test_an_account_that_never_asked_is_not_among_them() -> None:
    assert requests(METRICS, "bench") == 0

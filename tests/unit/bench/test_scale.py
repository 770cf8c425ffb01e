from tests.bench.scale import writes

METRICS = """\
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",resource="httproutes",subresource="",verb="PATCH",version="v1"} 3
apiserver_request_total{code="201",resource="pods",subresource="",verb="POST",version="v1"} 2.0e+01
apiserver_request_total{code="200",resource="leases",subresource="",verb="PUT",version="v1"} 60
apiserver_request_total{code="200",resource="pods",subresource="",verb="LIST",version="v1"} 7
"""


def test_writes_are_counted_whoever_made_them_and_those_of_leases_are_not() -> None:
    assert writes(METRICS) == 23

"""What the pods of each serving preset show on their metrics pages, and so which guards they can feed.

How the pages are read is in `adapters/formats.py`; what the same servers give by way of Prometheus in `core/promql.py`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.core.guards import Kind
from tidegate.core.plan import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The guards that a page can feed, and the last edge (seconds) of its histogram where nobody can change that.

    `predictions`: it has a histogram of what was predicted.
    """

    feeds: frozenset[Kind] = frozenset({Kind.ERROR_RATE, Kind.CLIENT_ERRORS, Kind.LATENCY})
    top: float = math.inf
    predictions: bool = False


PAGES: Mapping[Runtime, Page] = {
    Runtime.TIDEGATE: Page(top=600.0, predictions=True),
    Runtime.MLSERVER: Page(top=10.0),
    # Durations of predictions, and nothing of how they ended.
    Runtime.KSERVE: Page(feeds=frozenset({Kind.LATENCY}), top=10.0),
    # Successes and failures of what reached a model. Its latencies are sums, or summaries, of which nothing follows
    # for a share of requests.
    Runtime.TRITON: Page(feeds=frozenset({Kind.ERROR_RATE})),
    Runtime.VLLM: Page(),
    # With a histogram where spec.serving.metrics names one.
    Runtime.CUSTOM: Page(),
}

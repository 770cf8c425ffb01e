"""One scrape of `/metrics`, read by Prometheus's own parser."""

from prometheus_client.parser import text_string_to_metric_families


class Scrape:
    """The samples of one scrape, read by Prometheus's own parser."""

    def __init__(self, text: bytes) -> None:
        self.types: dict[str, str] = {}
        self.samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in text_string_to_metric_families(text.decode()):
            self.types[family.name] = family.type
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self.samples, f"{key} twice"
                self.samples[key] = sample.value

    def value(self, name: str, **labels: str) -> float:
        return self.samples[name, frozenset(labels.items())]

    def buckets(self, name: str, **labels: str) -> list[float]:
        found = {
            float(dict(tags)["le"]): value
            for (sample, tags), value in self.samples.items()
            if sample == name and {tag for tag in tags if tag[0] != "le"} == set(labels.items())
        }
        return [found[edge] for edge in sorted(found)]

    def ages(self) -> list[float]:
        return self.buckets("tidegate_runtime_requests_in_flight_age_seconds_bucket")

    def finished(self) -> float:
        return sum(
            self.value("tidegate_runtime_request_duration_seconds_count", code=code) for code in ("2xx", "4xx", "5xx")
        )

from tests.fixtures.apiserver import apiserver, namespace

__all__ = ["apiserver", "namespace"]

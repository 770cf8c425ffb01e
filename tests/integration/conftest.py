from tests.fixtures.apiserver import apiserver, kube_access, namespace

# One API server for all directories: each conftest that imports it would make another one, and they all run to the end.
__all__ = ["apiserver", "kube_access", "namespace"]

from tests.fixtures.apiserver import apiserver, kube_access, namespace

__all__ = ["apiserver", "kube_access", "namespace"]

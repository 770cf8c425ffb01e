"""The cluster's name service: CoreDNS as a Deployment behind the usual address."""

from typing import Any

from tests.cluster.node import DNS_ADDRESS, DNS_DOMAIN

IMAGE = "localhost/coredns:1"
PORT = 1053
_LABELS = {"k8s-app": "kube-dns"}
_METADATA = {"name": "coredns", "namespace": "kube-system"}

# There is no upstream: names outside the cluster do not exist. The server block for them must be one of its own, for
# `template` comes before `kubernetes` in the order of plugins and would answer for every name.
COREFILE = f"""
{DNS_DOMAIN} in-addr.arpa ip6.arpa {{
    errors
    health :8080
    ready :8181
    kubernetes {DNS_DOMAIN} in-addr.arpa ip6.arpa {{
        pods insecure
        ttl 5
    }}
    loadbalance
}}
. {{
    errors
    template IN ANY . {{
        rcode NXDOMAIN
    }}
}}
"""


def manifests() -> list[dict[str, Any]]:
    """Everything that CoreDNS needs in the cluster."""
    return [*_access(), _config(), _deployment(), _service()]


def _access() -> list[dict[str, Any]]:
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"}
    subject = {"kind": "ServiceAccount", **_METADATA}
    version = "rbac.authorization.k8s.io/v1"
    name = {"name": "system:coredns"}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _METADATA},
        {"apiVersion": version, "kind": "ClusterRole", "metadata": name, "rules": rules},
        {
            "apiVersion": version,
            "kind": "ClusterRoleBinding",
            "metadata": name,
            "roleRef": role,
            "subjects": [subject],
        },
    ]


def _config() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _METADATA, "data": {"Corefile": COREFILE}}


def _deployment() -> dict[str, Any]:
    container = {
        "name": "coredns",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": ["-conf=/etc/coredns/Corefile", f"-dns.port={PORT}"],
        "ports": [
            {"name": "dns", "containerPort": PORT, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": PORT, "protocol": "TCP"},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
    }
    pod = {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "priorityClassName": "system-cluster-critical",
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    template = {"metadata": {"labels": _LABELS}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": _LABELS}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _METADATA, "spec": spec}


def _service() -> dict[str, Any]:
    ports = [
        {"name": "dns", "port": 53, "targetPort": "dns", "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "targetPort": "dns-tcp", "protocol": "TCP"},
    ]
    metadata = {"name": "kube-dns", "namespace": "kube-system", "labels": _LABELS}
    spec = {"clusterIP": DNS_ADDRESS, "selector": _LABELS, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}

"""A real Kubernetes on one machine, without Docker, for the demo and the tests.

Two forms share their parts: `light.LightCluster` is etcd and kube-apiserver on
loopback, ready in seconds; `full.Cluster` is a whole node with a gateway in a
network namespace of its own. Both live in namespaces whose first process ends
with its owner, so that nothing outlives a crash but directories and empty
cgroups, which the next start removes.

Only the standard library is used: this runs before any virtual environment
exists.
"""

"""Tidegate's model server: downloads one pinned MLflow model version and serves its pyfunc over HTTP.

Two programs in one image: ``python -m tidegate_runtime download`` is the init container, ``serve`` the container
"model". The package shares no code with the operator; what the two agree on is written down in the reference
documentation of the runtime (environment, endpoints, metrics, termination message).
"""

"""What MLflow keeps its data in where a team has outgrown SQLite: PostgreSQL, and an S3-compatible object store.

Both are real servers (PostgreSQL from a wheel, versitygw over a directory). Their data lives as long as their pods:
they are for demos and tests.
"""

from typing import Any

POSTGRES = "postgres"
OBJECTSTORE = "objectstore"
SECRET = "mlflow-stores"
BUCKET = "mlflow"
_PORTS = {POSTGRES: 5432, OBJECTSTORE: 7070}
_DATA, _TMP = "/data", "/tmp"
#: The first start makes the database; every start goes on with what is there. Nothing has to outlive a power cut here.
_START = f"""
set -e
if ! [ -s {_DATA}/db/PG_VERSION ]; then
  printf '%s' "$PGPASSWORD" > /tmp/password
  initdb --pgdata={_DATA}/db --username=mlflow --pwfile=/tmp/password --auth=scram-sha-256 --encoding=UTF8 --no-sync
  rm /tmp/password
  echo 'host all all all scram-sha-256' >> {_DATA}/db/pg_hba.conf
  echo 'create database mlflow' | postgres --single -D {_DATA}/db postgres
fi
exec postgres -D {_DATA}/db -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off
"""
#: Runs before MLflow, with its environment: both stores answer, and the bucket is there.
_PREPARE = f"""
import os, time
import boto3, psycopg2
from botocore.exceptions import ClientError, EndpointConnectionError
end = time.monotonic() + 120
store = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
while True:
    try:
        psycopg2.connect(os.environ["BACKEND"].replace("+psycopg2", ""), connect_timeout=5).close()
        store.create_bucket(Bucket="{BUCKET}")
        break
    except store.exceptions.BucketAlreadyOwnedByYou:
        break
    except (psycopg2.OperationalError, EndpointConnectionError, ClientError) as error:
        if time.monotonic() > end:
            raise
        print(error, flush=True)
        time.sleep(0.5)
"""


def manifests(namespace: str, prefix: str) -> list[dict[str, Any]]:
    """A Secret with the passwords of this one installation, both servers and their Services.

    `prefix` is what the names of the images begin with, as `Access.image_prefix`.
    """
    password = {"name": "PGPASSWORD", "valueFrom": {"secretKeyRef": {"name": SECRET, "key": "PGPASSWORD"}}}
    keys = [
        {"name": f"ROOT_{key}_KEY", "valueFrom": {"secretKeyRef": {"name": SECRET, "key": name}}}
        for key, name in (("ACCESS", "AWS_ACCESS_KEY_ID"), ("SECRET", "AWS_SECRET_ACCESS_KEY"))
    ]
    listen = f":{_PORTS[OBJECTSTORE]}"
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET, "namespace": namespace},
            "stringData": {
                "PGPASSWORD": "a-password-of-the-tests-own",
                "AWS_ACCESS_KEY_ID": "mlflow",
                "AWS_SECRET_ACCESS_KEY": "a-key-of-the-tests-own",
            },
        },
        *_server(namespace, POSTGRES, f"{prefix}/{POSTGRES}:dev", {"command": ["sh", "-c", _START], "env": [password]}),
        *_server(
            namespace,
            OBJECTSTORE,
            f"{prefix}/{OBJECTSTORE}:dev",
            {"args": ["--quiet", "--port", listen, "posix", "--sidecar", _TMP, _DATA], "env": keys},
        ),
    ]


def _server(namespace: str, name: str, image: str, container: dict[str, Any]) -> list[dict[str, Any]]:
    labels, port = {"app": name}, _PORTS[name]
    data = [{"name": "data", "mountPath": _DATA}, {"name": "tmp", "mountPath": _TMP}]
    pod = {
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "fsGroup": 65532},
        "containers": [
            {
                "name": name,
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "ports": [{"name": "server", "containerPort": port}],
                "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
                "volumeMounts": data,
                **container,
            }
        ],
        "volumes": [{"name": mount["name"], "emptyDir": {}} for mount in data],
    }
    meta = {"name": name, "namespace": namespace}
    service = {"selector": labels, "ports": [{"port": port, "targetPort": "server"}]}
    deployment = {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": deployment},
    ]


def environment(namespace: str) -> list[dict[str, Any]]:
    """What MLflow's container needs to reach both: `BACKEND` is the URI of the database.

    Clients are sent to the store by presigned URLs, so that its name has to mean something in every namespace.
    """
    store = f"{OBJECTSTORE}.{namespace}.svc.cluster.local"
    names = ("PGPASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    secrets = [{"name": name, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": name}}} for name in names]
    said = {
        "BACKEND": f"postgresql+psycopg2://mlflow:$(PGPASSWORD)@{POSTGRES}:{_PORTS[POSTGRES]}/mlflow",
        "MLFLOW_S3_ENDPOINT_URL": f"http://{store}:{_PORTS[OBJECTSTORE]}",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    return [*secrets, *({"name": name, "value": value} for name, value in said.items())]


def preparation(image: str, namespace: str) -> dict[str, Any]:
    """The init container that waits for both and makes the bucket."""
    return {
        "name": "stores",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", _PREPARE],
        "env": environment(namespace),
    }


#: Where MLflow keeps runs and versions, and artifacts.
LOCATIONS = ("$(BACKEND)", f"s3://{BUCKET}")

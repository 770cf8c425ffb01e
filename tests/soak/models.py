"""Real models for a soak: a first one, and then as many versions of four kinds as its plan asks for, in its order.

Runs as a program of its own inside the cluster's network, with full MLflow: `python -m tests.soak.models`.
"""

import argparse
from pathlib import Path

from examples.demo.models import RAISES, bodies, register_plain, register_wrapped
from mlflow.tracking import MlflowClient

from tests.e2e.models import register_garbage
from tests.soak.plan import Kind


def main() -> None:
    """Register them and write what the load driver sends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--bodies", required=True, type=Path)
    parser.add_argument("--order", required=True, help="kinds of further versions, with commas between them")
    args = parser.parse_args()
    args.bodies.write_text("\n".join(bodies()) + "\n", encoding="utf-8")
    base = f"{args.name}-base"
    made = {
        Kind.GOOD: register_plain(base, strength=1.0, seed=2),
        Kind.SOME_ERRORS: register_wrapped(base, RAISES, seed=3),
        Kind.CORRUPT: register_garbage(base),
    }
    client = MlflowClient()
    for kind in [Kind.GOOD, *map(Kind, args.order.split(","))]:
        found = client.get_model_version(base, made[kind])
        # A logged model is named by its id; the server wants it a second time.
        logged = found.source.removeprefix("models:/") if found.source.startswith("models:/") else None
        client.create_model_version(args.name, found.source, run_id=found.run_id, model_id=logged, await_creation_for=0)


if __name__ == "__main__":
    main()

"""The program, in a process of its own."""

import subprocess
import sys

#: In place of the operator: asks a registry where nobody listens, and says how much the garbage collector walks over.
PROGRAM = """
import gc, tidegate.__main__ as program
from tidegate.adapters.mlflow import MlflowRegistry
from tidegate.core.plan import Pointer, PointerKind
from tidegate.ports import Login

async def run(settings):
    registry = MlflowRegistry(Login(uri="http://127.0.0.1:9"), timeout=5)
    kept = [gc.get_freeze_count()]
    await registry.resolve([("fraud", Pointer(kind=PointerKind.ALIAS, value="champion"))])
    kept.append(gc.get_freeze_count())
    await registry.close()
    print(*kept, len(gc.get_objects()))

program.run = run
program.main()
"""


def test_a_full_collection_of_garbage_does_not_walk_over_what_was_imported() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    begun, asked, walked = map(int, done.stdout.splitlines()[-1].split())
    assert begun > 50_000
    assert asked > begun + 50_000
    assert walked < asked / 10

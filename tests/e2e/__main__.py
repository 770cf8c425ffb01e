"""`python -m tests.e2e`: builds all that the end-to-end tests need into the cache, and shows how far it is.

From nothing it takes a quarter of an hour, which is no test's time.
"""

import sys

from tests.cluster import debian
from tests.cluster.errors import ClusterError
from tests.cluster.full import prepare
from tests.cluster.images import ensure_images
from tests.cluster.progress import Progress
from tests.driver.registry import Profile

IMAGES = (*Profile.POSTGRES.images, "tidegate-operator", "tidegate-runtime")
PACKAGES = ("prometheus", "prometheus-alertmanager")


def main() -> int:
    """1, with the remedy, if something can't be had."""
    progress = Progress()
    try:
        prepare(progress)
        ensure_images(IMAGES, progress)
        for package in PACKAGES:
            debian.unpack(package, progress)
    except ClusterError as error:
        print(f"tests.e2e: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

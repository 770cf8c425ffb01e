"""The embedded cluster's commands: `python3 -m tests.cluster <command>`."""

import sys

from tests.cluster.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`kubectl-tidegate`, or `python -m tidegate.plugin`."""

import sys

from tidegate.plugin.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m tidegate`: one operator process."""

import asyncio
import gc

from tidegate.process import run
from tidegate.settings import Settings
from tidegate.telemetry import configure_logging


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = Settings()
    configure_logging(settings.log_level, settings.log_format)
    # What is imported stays. To walk over it took each full collection a tenth of a second, in which nothing reverts.
    gc.freeze()
    asyncio.run(run(settings))


if __name__ == "__main__":
    main()

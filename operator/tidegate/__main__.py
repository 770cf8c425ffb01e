"""`python -m tidegate`: one operator process."""

import asyncio

from tidegate.process import run
from tidegate.settings import Settings
from tidegate.telemetry import configure_logging


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = Settings()
    configure_logging(settings.log_level, settings.log_format)
    asyncio.run(run(settings))


if __name__ == "__main__":
    main()

"""``python -m tidegate_runtime download|serve``: the init container and the model server.

Exit codes: 0 done (for ``serve``: stopped by SIGTERM or SIGINT, and drained), 1 given up with a termination message,
2 wrong usage.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from tidegate_runtime.faults import RuntimeFault
from tidegate_runtime.settings import LIBRARY_DEFAULTS, DownloadSettings, ServeSettings
from tidegate_runtime.termination import presentable, write_failure, write_success

_logger = logging.getLogger("tidegate_runtime")


def main() -> NoReturn:
    """Run the subcommand and end the process with its exit code."""
    # PID 1 has no default handlers: without this, SIGTERM before the server's own would be ignored.
    signal.signal(signal.SIGTERM, _leave)
    parser = argparse.ArgumentParser(prog="tidegate_runtime", description=__doc__)
    parser.add_argument("command", choices=["download", "serve"])
    command = parser.parse_args().command
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name, value in LIBRARY_DEFAULTS.items():
        os.environ.setdefault(name, value)
    code = 0
    try:
        _download() if command == "download" else _serve()
    except RuntimeFault as fault:
        _logger.error("%s: %s", fault.reason, presentable(str(fault), os.environ))  # noqa: TRY400 - the message says it
        write_failure(fault, os.environ)
        code = 1
    except Exception as error:  # the outermost frame: whatever it is, a pod's status is to say it
        _logger.exception("unexpected")
        write_failure(RuntimeFault(f"unexpected: {error!r}"), os.environ)
        code = 1
    _end(code)


def _download() -> None:
    settings = DownloadSettings.from_environment(os.environ)
    # Imported late: MLflow reads its defaults from the environment, and takes a second.
    from tidegate_runtime.download import download  # noqa: PLC0415

    write_success(download(settings), os.environ)


def _serve() -> None:
    settings = ServeSettings.from_environment(os.environ)
    from tidegate_runtime.server import serve  # noqa: PLC0415 - uvicorn is no part of the init container's start

    asyncio.run(serve(settings))


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _end(code: int) -> NoReturn:
    """End at once: a thread that hangs in a model would keep the interpreter from ever leaving."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()

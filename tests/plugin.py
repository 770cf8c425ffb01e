"""`kubectl-tidegate` as one file: `python -m tests.plugin <file>`.

A zip with Python's shebang in front (PEP 441) of the modules that the plugin is made of, which need the standard
library only. The same sources make the same bytes.
"""

import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "operator"
SHEBANG = b"#!/usr/bin/env python3\n"
#: What the plugin is made of, relative to `operator/`.
PARTS = ("tidegate/__init__.py", "tidegate/core/__init__.py", "tidegate/core/labels.py", "tidegate/core/reasons.py")
# In words of any Python 3, so that an old one can read why it won't do.
START = """\
import sys

if sys.version_info < (3, 11):
    sys.exit("error: kubectl tidegate needs Python 3.11 or newer, not %d.%d" % sys.version_info[:2])

from tidegate.plugin.cli import main

sys.exit(main())
"""
#: The oldest that a zip can say: sources have no time.
_TIME = (1980, 1, 1, 0, 0, 0)


def bundle() -> bytes:
    """The whole file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in _contents():
            archive.writestr(zipfile.ZipInfo(name, _TIME), text, zipfile.ZIP_DEFLATED)
    return SHEBANG + buffer.getvalue()


def _contents() -> Iterator[tuple[str, str]]:
    yield "__main__.py", START
    own = sorted(path for path in (SOURCE / "tidegate" / "plugin").iterdir() if path.suffix in {".py", ".json"})
    for path in [*(SOURCE / part for part in PARTS), *own]:
        yield path.relative_to(SOURCE).as_posix(), path.read_text(encoding="utf-8")


def main(target: Path) -> None:
    """Write it, ready to be run."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(bundle())
    target.chmod(0o755)
    print(f"{target}: copy it onto your PATH")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What the unit and contract tests cover, against what was promised: `python -m tests.report`."""

import io
import sys
from pathlib import Path

import coverage

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "build" / "coverage"
#: (files, least per cent of lines and branches together)
PROMISED = (("operator/tidegate/core/*", 100.0), ("operator/*", 85.0))


def main() -> int:
    """Combine the processes' data, print what is missing, and fail where less is covered than promised."""
    parts = sorted(DATA.glob("unit*"))
    if not parts:
        print(f"no coverage data in {DATA}: run the tests first", file=sys.stderr)
        return 1
    measured = coverage.Coverage(data_file=str(DATA / "all"), config_file=str(ROOT / "pyproject.toml"))
    measured.combine([str(part) for part in parts], keep=True)
    measured.save()
    wrong = 0
    for files, least in PROMISED:
        text = io.StringIO()
        covered = measured.report(include=[str(ROOT / files)], file=text, show_missing=True, skip_covered=True)
        missed = covered + 1e-9 < least
        wrong += missed
        if missed:
            print(text.getvalue())
        # Cut, not rounded: 99.97 is not 100.0.
        print(f"coverage of {files}: {int(covered * 10) / 10:.1f} % of lines and branches, promised {least:g} %")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

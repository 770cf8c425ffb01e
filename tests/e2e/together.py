"""Several stories at once: each waits most of its time, so that one after the other would waste the machine."""

import os
import re
import threading
from collections.abc import Callable
from functools import partial

from tests.cluster.access import Access
from tests.driver.registry import Mlflow
from tests.e2e.site import SITES, Site

Story = Callable[[Site], None]
LONGEST = 400.0  # seconds


class Stories:
    """Gives each story a site of its own, runs all at once and fails with everything that failed."""

    def __init__(self, access: Access, mlflow: Mlflow) -> None:
        self._access = access
        self._mlflow = mlflow
        self.namespaces: list[str] = []

    def site(self, words: str) -> Site:
        """A namespace, a model and a host of a story's own."""
        name = re.sub(r"[^a-z0-9]+", "-", words.lower().removeprefix("test_")).strip("-")
        namespace = f"{SITES}{name[:40].strip('-')}-{os.urandom(2).hex()}"
        self.namespaces.append(namespace)
        return Site(self._access, self._mlflow, namespace)

    def __call__(self, *stories: Story) -> None:
        """Run them.

        Raises:
            ExceptionGroup: what failed, each with the story's name.
        """
        at_once(**{story.__name__: partial(self._tell, story) for story in stories})

    def _tell(self, story: Story) -> None:
        site = self.site(story.__name__)
        try:
            story(site)
        finally:
            site.remove()


def at_once(**stories: Callable[[], None]) -> None:
    """Run these at once, to the end of the last one.

    Raises:
        ExceptionGroup: what failed, each with the story's name.
    """
    failures: list[Exception] = []

    def run(name: str, story: Callable[[], None]) -> None:
        try:
            story()
        except Exception as error:  # noqa: BLE001 (raised again when all have ended)
            error.add_note(f"in the story {name}")
            failures.append(error)

    threads = [threading.Thread(target=run, args=named, name=named[0], daemon=True) for named in stories.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONGEST)
    late = [thread.name for thread in threads if thread.is_alive()]
    if late:
        failures.append(AssertionError(f"still running after {LONGEST:g} s: {late}"))
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(stories)} stories failed", failures)

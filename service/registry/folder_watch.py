"""The watch of the folder of models: new versions are served without a call.

It knows when to look; the repository knows what is new and how it is served.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from service.registry.model_repository import Repository

log = logging.getLogger(__name__)


class FolderWatch(threading.Thread):
    """Looks for new versions now and then.

    Args:
        repository: Where they are, and who serves them.
        seconds: How long it waits between two looks.
        wait: Waits some seconds and returns whether to stop; by default it never does,
            and the thread ends with the process.
    """

    def __init__(
        self,
        repository: Repository,
        seconds: float,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        super().__init__(name="folder-watch", daemon=True)
        self._repository = repository
        self._seconds = seconds
        self._wait = wait or threading.Event().wait

    def run(self) -> None:
        """Look now and then; a look that fails is logged, and the next one comes."""
        while not self._wait(self._seconds):
            try:
                self._repository.adopt_newer()
            except Exception:
                log.exception("cannot look for new versions; next in a while")

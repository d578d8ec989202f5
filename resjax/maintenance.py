"""Google Cloud's notice that a host will be taken away: those of TPUs do not migrate, they stop.

The host's metadata server gives it ahead of the signal: `instance/maintenance-event`, and of a spot machine
`instance/preempted` (cloud.google.com/compute/docs: metadata/getting-live-migration-notice, instances/spot).
"""

import contextlib
import http.client
import os
import threading
import urllib.request
from collections.abc import Callable, Iterator

import jax

SERVER = "metadata.google.internal"
ELSEWHERE = "GCE_METADATA_HOST"  # names another server, as for Google's own libraries
NOTICES = {"maintenance-event": "TERMINATE_ON_HOST_MAINTENANCE", "preempted": "TRUE"}
EVERY = 5.0  # seconds


@contextlib.contextmanager
def heeded(tell: Callable[[], None]) -> Iterator[None]:
    """While entered, `tell` is called, in a thread, when a notice comes; nobody is asked where no TPUs are.

    A notice that stands at the beginning is not one: who starts again on a host that is still there uses the
    time that is left, until the signal comes.
    """
    if jax.default_backend() != "tpu" and ELSEWHERE not in os.environ:
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_listen, args=(tell, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()


def _listen(tell: Callable[[], None], ended: threading.Event) -> None:
    """Asks until a notice comes; a server that does not answer is asked again, it may be busy."""
    stood: dict[str, bool] = {}
    while not ended.is_set():
        for key in NOTICES:
            stands = _stands(key)
            if stands and stood.get(key) is False:
                tell()
                return
            if stands is not None:
                stood[key] = stands
        ended.wait(EVERY)


def _stands(key: str) -> bool | None:
    """-> whether there is the notice; None: no answer."""
    address = f"http://{os.environ.get(ELSEWHERE, SERVER)}/computeMetadata/v1/instance/{key}"
    request = urllib.request.Request(address, headers={"Metadata-Flavor": "Google"})
    try:
        with urllib.request.urlopen(request, timeout=EVERY) as answer:
            return answer.read().decode().strip() == NOTICES[key]
    except (OSError, http.client.HTTPException, ValueError):  # urllib's own, a broken answer's, and no text
        return None

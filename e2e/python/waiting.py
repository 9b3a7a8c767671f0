"""Waiting for conditions."""

import time


def eventually(condition, complaint, seconds=30):
    """Waits until `condition()` is true and returns what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, complaint
        time.sleep(0.02)

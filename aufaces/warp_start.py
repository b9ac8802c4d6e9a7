"""Warp starts without a word on a missing card, which a notebook would show as a red box above a figure."""

import os
import tempfile
import threading
from functools import lru_cache

import warp as wp

NO_CARD = b"Could not find or load the NVIDIA CUDA driver"
ONE_AT_A_TIME = threading.Lock()  # or a second thread would take the file set aside for standard error


@lru_cache(maxsize=1)
def start_warp() -> None:
    """Initialises warp once. All that it says of errors is passed on, but for NO_CARD.

    The library writes that line to the process's standard error (`cuda_util.cpp`), which no log level and no
    `sys.stderr` reaches; so the file descriptor is set aside for as long as warp starts.
    """
    with ONE_AT_A_TIME, tempfile.TemporaryFile() as said:
        stderr = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            wp.init()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            said.seek(0)
            os.write(2, b"".join(line for line in said if NO_CARD not in line))

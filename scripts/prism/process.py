"""What every script does around its work: its log, and one line for a user's mistake."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from prism.errors import InputError


@contextmanager
def logging_to(log: str) -> Iterator[None]:
    """Send all that the process prints, libraries and children included, to the file `log`.

    An `InputError` becomes one line of the log and exit status 1; any other exception keeps its
    trace, which reaches the log too.
    """
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.stdout.reconfigure(line_buffering=True)
    try:
        yield
    except InputError as error:
        print(f"error: {error}")
        sys.exit(1)

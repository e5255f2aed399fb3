"""What every script does around its work: its log, and one line for a user's mistake."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from prism.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def logging_to(log: str) -> Iterator[None]:
    """Send all that the process prints, libraries and children included, to the file `log`.

    An `InputError` or a full disk becomes one line of the log, or of the console where the log
    can't be written, and exit status 1. Any other exception keeps its trace, which reaches the log
    too.
    """
    console = os.dup(2)
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    except OSError as error:
        sys.exit(f"error: {log}: can't be written: {error.strerror}")
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.stdout.reconfigure(line_buffering=True)
    try:
        yield
    except (InputError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in FULL:
            raise
        line = f"error: {error}\n".encode()
        try:
            os.write(1, line)
        except OSError:
            os.write(console, line)
        os._exit(1)  # no more of what is left in buffers could be written

"""The program: `assistant`, `python -m assistant`, and so `torchrun -m assistant`."""

import os
import sys
import threading
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; Ctrl-C while it is still being imported ends it without a word."""
    # numpy's threads would keep spinning on the cores that the encoder is about to need
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from assistant.cli.main import main as run

        run()
    except KeyboardInterrupt:
        _leave(130)
    except SystemExit as end:
        if isinstance(end.code, str):
            raise
        _leave(end.code or 0)


def _leave(code: int) -> NoReturn:
    """End the process; at once where a thread that nobody waits for is still at work.

    A model that is being loaded by other languages' code comes back into an interpreter that is
    gone by then, which aborts the process.
    """
    if any(thread.daemon for thread in threading.enumerate()):
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()

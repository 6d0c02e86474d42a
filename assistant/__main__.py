"""The program: `assistant`, `python -m assistant`, and so `torchrun -m assistant`."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; Ctrl-C while it is still being imported ends it without a word."""
    try:
        from assistant.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()

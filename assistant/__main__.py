"""`python -m assistant`, and so `torchrun -m assistant`: the command line."""

from assistant.cli.main import main

main()

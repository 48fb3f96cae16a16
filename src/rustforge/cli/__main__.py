"""`python -m rustforge.cli`, where the command itself is not on the PATH."""

from rustforge.cli import main

main()

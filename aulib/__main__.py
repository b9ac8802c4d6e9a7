"""`python -m aulib` is the command `aulib`."""

from aulib.cli import main

main()

"""`python -m aubench` is the command `aulib`."""

from aubench.cli.main import main

if __name__ == "__main__":  # the book imports every module
    main()

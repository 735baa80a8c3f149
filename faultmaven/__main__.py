"""`python -m faultmaven` is the command `faultmaven`."""

from faultmaven.cli import main

if __name__ == "__main__":
    main()

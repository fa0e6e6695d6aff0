"""`python -m nanospine` is the program `nanospine`."""

from nanospine.cli.app import main

if __name__ == "__main__":
    main()

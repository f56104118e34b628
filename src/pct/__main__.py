"""`python -m pct` is `pct`."""

from pct.cli.main import main

if __name__ == "__main__":
    main()

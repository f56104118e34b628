"""`python -m pct` is `pct`, and like that looks for no modules in the working directory."""

import sys

if __name__ == "__main__":
    # Python puts it first; it may be a folder of logs from anywhere.
    if not sys.flags.safe_path and not __file__.startswith(f"{sys.path[0]}/"):
        del sys.path[0]
    from pct.cli.main import main

    main()

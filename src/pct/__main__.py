"""The program: `pct`, and `python -m pct`, which like that looks for no modules in the working directory."""

import signal
import sys


def main() -> None:
    """Read the arguments of this process and do what they say."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # While modules load there is nothing to clear away, and no traceback to show.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pct.cli.main import main as program

    program()


if __name__ == "__main__":
    # Python puts it first; it may be a folder of logs from anywhere.
    if not sys.flags.safe_path and not __file__.startswith(f"{sys.path[0]}/"):
        del sys.path[0]
    main()

"""What systems differ in, where it concerns files."""

import os

# Flags that open no file that a link leads to, and wait for no pipe that nobody writes. Windows has neither.
UNFOLLOWED = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
# Whether the mode of a file says who may write to it. On Windows lists of access do, and keep a user's own
# folders from others.
MODES = os.name != "nt"


def user() -> int:
    """The user of this process, as the system writes it into the facts of a file."""
    return os.geteuid() if hasattr(os, "geteuid") else 0

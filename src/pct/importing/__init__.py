"""`pct data import`: log files to a dataset folder."""

from pct.importing.file import Imported, Settings, Stored, import_file
from pct.importing.parts import deal_out, write_parts
from pct.mapping.maps import Log, find_logs

__all__ = [
    "Imported",
    "Log",
    "Settings",
    "Stored",
    "deal_out",
    "find_logs",
    "import_file",
    "write_parts",
]

"""`pct data import`: log files to a dataset folder."""

from pct.data.importing.file import Imported, Settings, Stored, import_file
from pct.data.importing.logs import Log, find_logs
from pct.data.importing.parts import deal_out, write_parts

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

"""Readers of log formats behind one interface: file to raw columns."""

from pct.logs.readers.base import RawLog as RawLog
from pct.logs.readers.formats import FORMATS as FORMATS
from pct.logs.readers.formats import is_log as is_log
from pct.logs.readers.formats import no_log as no_log
from pct.logs.readers.formats import read_log as read_log

"""Readers of log formats behind one interface: file to raw columns."""

from pct.data.logs.base import RawLog as RawLog
from pct.data.logs.formats import FORMATS as FORMATS
from pct.data.logs.formats import is_log as is_log
from pct.data.logs.formats import read_log as read_log

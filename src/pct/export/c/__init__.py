"""C99 of a model with its parameters baked in."""

from pct.export.c.program import CFile as CFile
from pct.export.c.program import export as export
from pct.export.c.program import export_c as export_c
from pct.export.c.program import prefix_of as prefix_of

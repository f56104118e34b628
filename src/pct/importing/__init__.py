"""Log files to a dataset folder."""

from pct.importing.dataset import ImportedDataset as ImportedDataset
from pct.importing.dataset import import_logs as import_logs

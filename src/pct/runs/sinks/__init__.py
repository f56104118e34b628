"""Metric sinks: ``metrics.jsonl`` always, a tracking service where one is named; one file each."""

from pct.runs.sinks.base import Tracker as Tracker
from pct.runs.sinks.choice import open_tracker as open_tracker
from pct.runs.sinks.jsonl import METRICS as METRICS
from pct.runs.sinks.jsonl import read_metrics as read_metrics
from pct.runs.sinks.jsonl import write_metrics as write_metrics

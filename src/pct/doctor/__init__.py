"""The doctor: finds what is wrong with a log before anything is trained on it, with evidence and a fix."""

from pct.doctor.examine import CHECKS as CHECKS
from pct.doctor.examine import examine as examine
from pct.doctor.examine import examine_all as examine_all
from pct.doctor.finding import SEVERITIES as SEVERITIES
from pct.doctor.finding import Finding as Finding
from pct.doctor.finding import Panel as Panel
from pct.doctor.raw_recording import Recording as Recording
from pct.doctor.read_logs import read_recordings as read_recordings
from pct.doctor.repair import write_repaired as write_repaired

"""The doctor: finds what is wrong with a log before anything is trained on it, with evidence and a fix."""

from pct.data.doctor.examine import CHECKS as CHECKS
from pct.data.doctor.examine import examine as examine
from pct.data.doctor.examine import examine_all as examine_all
from pct.data.doctor.finding import SEVERITIES as SEVERITIES
from pct.data.doctor.finding import Finding as Finding
from pct.data.doctor.finding import Panel as Panel
from pct.data.doctor.reading import read_recordings as read_recordings
from pct.data.doctor.recording import Recording as Recording
from pct.data.doctor.repair import write_repaired as write_repaired

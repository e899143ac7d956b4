"""All tables of the page, in their order."""

from benchmarks.results.anomalies import ANOMALIES
from benchmarks.results.event_logs import EVENT_LOGS
from benchmarks.results.series import SERIES

PROBLEMS = (*EVENT_LOGS, *SERIES, *ANOMALIES)

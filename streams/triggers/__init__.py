"""Segment changes to outreach requests: who is contacted now, who later, who not, and why.

Pure: time, changes and what is known of a customer come in; requests, decisions and entries of a table go out. Here
is no Kafka, no clock and no row.
"""

from streams.triggers.partition import CorruptEntry, Triggers
from streams.triggers.policy import Known

__all__ = ["CorruptEntry", "Known", "Triggers"]

"""Proposes a map from raw columns to channels, from names, units and what the columns say of each other."""

from pct.data.mapping.proposal import Line as Line
from pct.data.mapping.proposal import Proposal as Proposal
from pct.data.mapping.propose import propose as propose

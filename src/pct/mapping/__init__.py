"""Proposes a map from raw columns to channels, from names, units and what the columns say of each other."""

from pct.mapping.proposal import Line as Line
from pct.mapping.proposal import Proposal as Proposal
from pct.mapping.propose import propose as propose

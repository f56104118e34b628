"""The posterior of a fit: its density, NUTS, and the draws with what they say."""

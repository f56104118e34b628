"""The network, its training, and what is tuned through rollouts."""

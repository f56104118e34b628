"""A network that predicts parameters: its layers, step, epoch and loop."""

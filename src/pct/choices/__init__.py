"""What a drive can feed: car, model, time step, measurement; each choice with its reason."""

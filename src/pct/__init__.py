"""PCT learns the physics of a vehicle from its driving logs."""

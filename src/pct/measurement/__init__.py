"""What stands between a model and its log: sensors, actuators, delays, and the observer."""

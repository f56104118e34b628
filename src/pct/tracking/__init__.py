"""Parameters that change while the car drives: a filter of hypotheses, its smoother, and the live tracker."""

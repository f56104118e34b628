"""Training at the speed of the hardware: fast array functions and what runs on them."""

"""Laps in closed loop: tracks, a speed profile from the believed grip, controllers, and foreign plants."""

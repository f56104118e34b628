"""Fits of constant parameters and training of networks that predict them, both through rollouts."""

"""Run folders: their files, checkpoints and metrics."""

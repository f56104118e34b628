"""Log files to recordings of a dataset: each file in a process of its own, parts, and a card."""

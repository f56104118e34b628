"""The public functions of `pct` and the values that they return; `import pct` offers them."""

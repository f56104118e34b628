"""Windows over stored rows: store, set and batch."""

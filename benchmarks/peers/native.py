"""PCT's own epoch with generated native code (`pct.rollout.native`)."""

from __future__ import annotations

from functools import partial

from peers import ours

make_epoch = partial(ours.make_epoch, engine="native")
first_gradient = partial(ours.first_gradient, engine="native")

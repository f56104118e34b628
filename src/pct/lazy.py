"""Where each public name of the package lives; it is imported when it is first used."""

import importlib

DISTRIBUTION = "pct-vehicle"
"""What installs the package: the name `pct` is taken in the package index."""

PUBLIC = {
    "errors": "pct.errors",
    **dict.fromkeys(("Car", "model", "models", "register", "vehicles"), "pct.api.cars"),
    "check": "pct.api.log_checks",
    "import_logs": "pct.api.imports",
    "propose_map": "pct.api.maps",
    **dict.fromkeys(("Drive", "Drives", "load", "simulate"), "pct.api.drives"),
    "Fit": "pct.api.fits",
    "fit": "pct.api.fitting",
    **dict.fromkeys(("Fleet", "fleet"), "pct.api.fleets"),
    **dict.fromkeys(("Network", "train"), "pct.api.networks"),
    **dict.fromkeys(("Score", "evaluate"), "pct.api.scores"),
    **dict.fromkeys(("Comparison", "compare"), "pct.api.comparisons"),
    **dict.fromkeys(("Design", "design"), "pct.api.designs"),
    **dict.fromkeys(("Ranking", "rank"), "pct.api.rankings"),
    **dict.fromkeys(("Outcome", "run"), "pct.api.running"),
    **dict.fromkeys(("Race", "race"), "pct.api.racing"),
    **dict.fromkeys(("Sweep", "sweep"), "pct.api.sweeps"),
    "Prediction": "pct.api.predictions",
    **dict.fromkeys(("Track", "Tracker", "track", "track_levels"), "pct.api.tracking"),
    "open": "pct.api.opening",
    **dict.fromkeys(("Channel", "Parameter"), "pct.dynamics.rows"),
    "define_model": "pct.dynamics.core",
    "keep_compiled_code": "pct.rollout.compiled",
}
"""Module of each public name."""


def __getattr__(name: str) -> object:
    """A public name of the package.

    Raises:
        AttributeError: there is no such name.
    """
    if name == "__version__":
        from importlib import metadata

        return metadata.version(DISTRIBUTION)
    if name.startswith("__"):  # as the import system asks for
        raise AttributeError(f"module 'pct' has no attribute '{name}'")
    if name not in PUBLIC:
        import difflib

        near = difflib.get_close_matches(name, PUBLIC, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"public names: {', '.join(PUBLIC)}"
        raise AttributeError(f"module 'pct' has no attribute '{name}'; {hint}")
    module = importlib.import_module(PUBLIC[name])
    return module if module.__name__ == f"pct.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    """What ``dir(pct)`` shows."""
    return sorted([*PUBLIC, "__version__"])

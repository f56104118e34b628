"""Constant parameters of a vehicle with their evidence; verdicts, facts and warnings follow when read."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.measurement.filter import drifting_states
from pct.optimization.constants.agreed import Agreement
from pct.optimization.constants.agreement import ENOUGH, agreement_of, with_agreement
from pct.optimization.constants.agreement_text import agreement_facts
from pct.optimization.constants.curves import has_curves, reached_slips
from pct.optimization.constants.estimate import PRIOR, Estimate
from pct.optimization.constants.model import FittedModel
from pct.optimization.constants.posterior.posterior import Posterior
from pct.optimization.constants.prior import Prior
from pct.optimization.constants.profile import ROUNDING, Profile
from pct.optimization.constants.rollout_errors import RolloutErrors, part_size
from pct.optimization.constants.starts import Starts
from pct.optimization.constants.verdicts import correlations, make_verdicts, with_profile
from pct.optimization.settings import FitSettings
from pct.recordings.unlogged import assumed_lines
from pct.windows.at_limits import limit_lines
from pct.windows.inputs import inputs_line
from pct.windows.store import spread
from pct.windows.window_set import WindowSet

# Independent blocks of driving below which their spread says little.
FEW_BLOCKS = 6
# Windows that tell which slip angles were reached.
SHOWN = 1000


@dataclasses.dataclass(frozen=True, eq=False)
class ConstantFit:
    """Constant parameters of a vehicle with their evidence.

    Attributes:
        model: the fitted model: values, standard errors, and what windows it reads.
        estimate: the solution on the unbounded axis, with its covariance.
        windows: the windows that it was fitted to, in the order of driving.
        settings: of the fit.
        seconds: that the fit took.
        errors: the compiled functions of the fit, for further fits to parts of its windows.
        profiles: profile likelihoods, where they were asked for.
        by: by what the drives were asked to be compared; None: by recording, where there are enough.
        files: the file that each recording is of, for a comparison by file.
        starts: what became of the starts, where there were several.
        posterior: draws, where they were asked for.
        prior: about the model's defaults on the unbounded axis, see `pct.optimization.constants.prior`.
    """

    model: FittedModel
    estimate: Estimate
    windows: WindowSet
    settings: FitSettings
    seconds: float
    errors: RolloutErrors
    profiles: tuple[Profile, ...] = ()
    by: str | None = None
    files: tuple[str, ...] = ()
    starts: Starts | None = None
    posterior: Posterior | None = None
    prior: Prior = PRIOR

    @property
    def spec(self) -> ModelSpec:
        """The model that was fitted, with its measurement."""
        return self.model.spec

    @property
    def rollout_errors(self) -> RolloutErrors:
        """The compiled functions, for parts of as many windows as in the fit: no part compiles again."""
        return dataclasses.replace(self.errors, part=part_size(len(self.windows)))

    @cached_property
    def agreement(self) -> Agreement | None:
        """Each recording, file or lap fitted alone and compared.

        Made when first read, in about the time of the fit. None below four recordings, unless it was asked
        for: then from two on.
        """
        return agreement_of(
            self, self.by or "recording", files=self.files, least=ENOUGH if self.by is None else 2
        )

    @cached_property
    def reached(self) -> dict[str, float]:
        """The largest slip angle in rad that was driven, by axle; empty for a model without tyres."""
        numbers = spread(np.flatnonzero(self.estimate.accepted), SHOWN)
        if not has_curves(self.spec) or not numbers.size:
            return {}
        states = self.model.predict_windows(self.windows.select(numbers))
        return reached_slips(self.spec, self.estimate.params(self.spec), states)

    @cached_property
    def stated(self) -> Estimate:
        """The estimate with a covariance that holds for the next drive, where drives were compared."""
        deviations = self.estimate.deviations(self.spec)
        covariance = with_agreement(self.estimate.covariance, deviations, self.spec, self.agreement)
        return dataclasses.replace(self.estimate, covariance=covariance)

    @cached_property
    def verdicts(self) -> dict[str, dict[str, Any]]:
        """Verdict on each scalar parameter by name; see `make_verdicts`."""
        verdicts = make_verdicts(self.estimate, self.spec, self.prior, self.agreement)
        for item in self.profiles:
            verdicts[item.name] = with_profile(verdicts[item.name], item, self.spec)
        return verdicts

    @cached_property
    def correlations(self) -> tuple[list[str], np.ndarray]:
        """Names of the scalar parameters, and the correlations of their errors, (N, N)."""
        return correlations(self.estimate, self.spec)

    @property
    def compared(self) -> tuple[str, ...]:
        """States whose errors counted."""
        return tuple(self.model.remaining_error)

    @property
    def facts(self) -> list[str]:
        """What was fitted to what, in sentences."""
        errors = ", ".join(
            f"{name} {value:.3g} {self.spec.states[self.spec.state_indices[name]].unit}"
            for name, value in self.model.remaining_error.items()
        )
        lines = [
            f"{describe_windows(self.windows)}; {int((~self.estimate.accepted).sum())} windows rejected; "
            f"{self.estimate.blocks} independent blocks.",
            f"Typical error over the horizon: {errors}.",
            *([f"{self.starts}."] if self.starts else []),
            *agreement_facts(self.agreement, len(self.windows.store.recordings)),
            *([self.posterior.fact] if self.posterior else []),
        ]
        unlogged = self.spec.unlogged
        left_out = [name for name in self.spec.state_names if name not in (*self.compared, *unlogged)]
        if left_out and not self.settings.compare:
            lines.append(
                f"Not compared: {', '.join(left_out)}, which controls that were derived from it predict to "
                "rounding."
            )
        inputs = inputs_line(self.spec)
        limits = limit_lines(self.spec, self.windows.store, self.model.params)
        assumed = assumed_lines(self.spec, self.windows.store.origins)
        return [*lines, *assumed, *self._start_facts(), *([inputs] if inputs else []), *limits]

    def _start_facts(self) -> list[str]:
        """How windows begin, and what the filter finds that the model does not explain."""
        noise = self.estimate.noise
        if noise is None:
            return []
        if not noise.reading:
            return ["Windows begin as logged: on held-out blocks the filter was no better."]
        sizes = ", ".join(
            f"{channel.name} {noise.drift * scale:.2g} {channel.unit}/s".replace("/s/s", "/s^2")
            for channel, scale in zip(drifting_states(self.spec), noise.scale, strict=True)
            if channel.name not in self.spec.unlogged
        )
        return [
            "Windows begin by the filter, which was better on held-out blocks. Not explained by the model: "
            f"rates are off by about {sizes}, for some {noise.fade:.2g} s."
        ]

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before trusting the figures."""
        lines = []
        if self.estimate.blocks < FEW_BLOCKS:
            lines.append(
                f"standard errors rest on {self.estimate.blocks} independent blocks of driving, too few to "
                "trust them: drive longer, or shorten `horizon` and `history`"
            )
        if self.starts is not None and 2 * self.starts.agreed < self.starts.count:
            lines.append(
                f"{self.starts}: there may be a better one; ask for more `starts`, or give narrower bounds"
            )
        if not self.estimate.sound:
            lines.append(
                "the covariance is not finite or beyond double precision, so that no standard error is known "
                "and no parameter is identified: shorten the `horizon`, or hold parameters with `fixed`"
            )
        if exact := exact_channels(self.spec, self.model.remaining_error):
            others = [name for name in self.compared if name not in exact]
            lines.append(
                f"{', '.join(exact)} is predicted to rounding, as the controls determine it: its errors "
                f"weigh as much as real ones. Fit again with `compare` {' '.join(others)}"
            )
        if reason := self.errors.fallback:
            lines.append(f"native code is not used: {reason}; pure JAX is slower, the results are the same")
        if self.posterior is not None:
            lines += self.posterior.warnings
        return lines

    def with_more(self, **changes: Any) -> ConstantFit:
        """The fit with more that is known of it."""
        changed = dataclasses.replace(self, **changes)
        if "agreement" in vars(self):  # computed already
            vars(changed)["agreement"] = self.agreement
        return changed


def describe_windows(windows: WindowSet) -> str:
    """How many windows of which size."""
    return (
        f"{len(windows)} windows of {len(windows.store.recordings)} recordings, {windows.horizon} steps of "
        f"{windows.store.dt:g} s"
    )


def exact_channels(spec: ModelSpec, remaining_error: Any) -> list[str]:
    """Compared states that a control predicts to rounding, so that they weigh as much as real errors.

    Args:
        spec: the model.
        remaining_error: typical error of each compared state by name, in its unit.
    """
    exact = [
        name
        for name, error in remaining_error.items()
        if error < ROUNDING * spec.states[spec.state_indices[name]].scale
    ]
    if len(exact) == len(remaining_error):
        return []  # data without noise
    return [name for name in exact if name in spec.rates]

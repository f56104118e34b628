"""The page of a fit: what to trust, what not and why, what to drive next; then the evidence."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np

from pct.errors import DataError
from pct.evaluation.drive_parts import map_parts, residual_parts, simulated_parts
from pct.evaluation.fit_report import (
    FitReport,
    agreement_forests,
    curve_facts,
    curve_panels,
    figures_of,
    pair_facts,
    parameter_cells,
    save_curves,
    text_columns,
)
from pct.evaluation.scores import BEYOND
from pct.evaluation.trust_parts import doubted_table, trust_clause, trusted_names, trusted_table
from pct.files import write_output
from pct.optimization.constants.agreement_text import agreement_cells
from pct.optimization.constants.posterior.posterior import (
    LARGEST_RHAT,
    LEAST_SIZE,
    SHOWN,
    posterior_cells,
)
from pct.optimization.constants.profile import LIMIT, profile_fact
from pct.optimization.constants.verdicts import advice_lines, varying_names
from pct.pages import (
    Part,
    Section,
    Tone,
    bullets,
    commands,
    details,
    figure,
    grid,
    page,
    paragraph,
    select,
    subheading,
    table,
    verdict,
)
from pct.pages.charts import (
    correlation_figure,
    curve_figure,
    forest_figure,
    posterior_figure,
    profile_figure,
)
from pct.runs.provenance_parts import provenance_parts

VERDICTS = (
    "Identified: the error for the next drive is below 15 % of the value. Weak: it is above. Traded "
    "off: only a combination with the other is identified. Varies: the drives differ beyond their errors. At "
    "bound: the fit would go on beyond it. Leans on clipped rows: most of what is known comes from rows at a "
    "limit of the model. Not excited: the drive holds next to no information; keep the nominal value.",
    "Standard errors are those of the jackknife over blocks of driving, or, where drives were compared, of "
    "the mean across them; the prior is included.",
)
AGREEMENT = (
    "Each drive was fitted alone. p is the probability of such differences where all drives are equal, after "
    "Holm over all rows and the side forces; below 0.05 they vary. The next drive will show a value in the "
    "grey band with 95 % probability, if it is of the same kind."
)
CHAINS = (
    f"R-hat is one where chains agree, and at most {LARGEST_RHAT} where they can be trusted; effective draws "
    f"are what as many independent ones would tell: {LEAST_SIZE} are enough for the ends of an interval."
)
FIGURES = "analysis"
# Varying parameters that a command follows at once.
FOLLOWED = 3


def save_fit_report(run: Path, report: FitReport) -> Path:
    """Write ``curves.json``, the figures under ``analysis/`` and ``report.html``.

    Returns:
        The HTML file.

    Raises:
        DataError: the folder cannot be written.
    """
    save_curves(run, report)
    return draw_fit_report(run, report)


def draw_fit_report(run: Path, report: FitReport) -> Path:
    """Write the figures under ``analysis/`` and ``report.html``.

    Returns:
        The HTML file.

    Raises:
        DataError: the folder cannot be written.
    """
    from pct import plots

    folder = run / FIGURES
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot make the folder ({error.strerror}): free some space") from None
    for name, draw in figures_of(report).items():
        plots.to_png(folder / f"{name}.png", draw)
    path = run / "report.html"
    write_output(path, fit_page(report, run).encode())
    return path


def fit_page(report: FitReport, run: Path) -> str:
    """The report as one HTML document.

    Args:
        report: its contents.
        run: the run folder, whose record says where the fit comes from.
    """
    return page(
        f"Fit of {report.spec.name}: {run.name}", fit_sections(report, run), lead=[fit_verdict(report)]
    )


def fit_sections(report: FitReport, run: Path) -> list[Section]:
    """The page's sections; one without parts is left out."""
    drive = report.drive
    horizon = report.fitted.settings["horizon"] * report.fitted.dt
    channels = [(name, report.spec.states[report.spec.state_indices[name]].unit) for name in report.channels]
    return [
        Section("What to trust", _trusted(report)),
        Section("What not to trust, and why", _doubted(report)),
        Section("What to drive next", _next(report, run)),
        Section("Measured beside simulated", [] if drive is None else simulated_parts(drive)),
        Section("The drive on the map", [] if drive is None else map_parts(drive)),
        Section("What the car does", _curves(report)),
        Section(
            "Residuals",
            residual_parts(
                drive, channels, report.times, report.errors, report.accepted, report.breaks, horizon
            ),
        ),
        Section("Do the drives agree?", _agreement(report)),
        Section("Posterior", _posterior(report)),
        Section("Profiles", _profiles(report)),
        Section("Trade-offs between parameters", _trade_offs(report)),
        Section(
            "How the fit was made", [bullets([*report.facts, *report.explosions]), *provenance_parts(run)]
        ),
    ]


def fit_verdict(report: FitReport) -> Part:
    """How many parameters can be trusted, and how far a simulation is off, in one sentence."""
    judged = report.verdicts
    trusted = trusted_names(judged)
    errors = []
    if report.drive is not None and len(report.errors):
        shown = report.drive.headline
        typical = float(np.median(report.drive.final(shown.name)))
        within = f"end within {typical:.2g} {shown.unit} of the log ({shown.name})"
        errors = [
            f"half of the simulations of {report.drive.horizon:g} s "
            + (within if typical < BEYOND else "diverge")
        ]
    tone: Tone = "good" if judged and len(trusted) == len(judged) else "mixed" if trusted else "bad"
    return verdict(f"{'; '.join([trust_clause(judged), *errors])}.", tone)


def _trusted(report: FitReport) -> list[Part]:
    """Values and intervals of what is identified, and all parameters on demand."""
    head, rows = parameter_cells(report.fitted, report.verdicts)
    everything = [
        table(head, rows, caption="All parameters that were fitted", texts=text_columns(head)),
        bullets(VERDICTS),
    ]
    parts = [
        trusted_table(report.fitted, report.verdicts)
        if trusted_names(report.verdicts)
        else paragraph("Nothing yet: see below what would identify the parameters.")
    ]
    return [*parts, details("All parameters, with standard errors and bounds", everything)]


def _doubted(report: FitReport) -> list[Part]:
    """What is not identified, each with its verdict and reason."""
    doubted = doubted_table(report.fitted, report.verdicts)
    return [] if doubted is None else [doubted]


def _next(report: FitReport, run: Path) -> list[Part]:
    """Advice on what would identify the rest, and the command that designs such a drive."""
    advice = advice_lines(report.verdicts)
    if not advice:
        return []
    parts = [bullets(advice)]
    if report.design:
        designed = shlex.join(["pct", "design", str(run), *report.design])
        parts += [paragraph("All at once, in the area that you have:"), commands([designed])]
    if varying := varying_names(report.verdicts)[:FOLLOWED]:
        followed = shlex.join(["pct", "track", str(run), "DRIVES", "--vary", *varying])
        parts += [paragraph("What varies, followed along drives:"), commands([followed])]
    return parts


def _curves(report: FitReport) -> list[Part]:
    if report.curves is None:
        return []
    shown = [
        figure(f"curve-{n}", curve_figure(panel)) for n, panel in enumerate(curve_panels(report.curves), 1)
    ]
    draws = 0 if report.posterior is None else min(SHOWN, report.posterior.divergent.size)
    made = f", by the curves of {draws} draws of the posterior" if draws else ""
    note = paragraph(f"Bands hold the curve with 95 % probability{made}. Shaded: the drive did not reach it.")
    return [bullets(curve_facts(report.curves)), grid(shown), note]


def _agreement(report: FitReport) -> list[Part]:
    agreement = report.agreement
    if agreement is None:
        return []
    parts = []
    forests = agreement_forests(agreement, report.spec)
    if forests:
        forests = sorted(forests, key=lambda one: not one.varies)
        control = "agreement-quantity"
        parts = [
            select(control, "Quantity", [one.title for one in forests]),
            figure(
                "agreement",
                forest_figure(agreement.names, forests, control),
                f"Each {agreement.by} alone, with 95 % intervals; dashed: the fit to all; blue band: the "
                "mean; grey band: the next drive.",
            ),
        ]
    head, rows = agreement_cells(agreement, report.verdicts)
    caption = f"Each {agreement.by} fitted alone"
    return [*parts, table(head, rows, caption=caption, texts=(head.index("verdict"),)), bullets([AGREEMENT])]


def _posterior(report: FitReport) -> list[Part]:
    posterior = report.posterior
    if posterior is None:
        return []
    control = "posterior-parameter"
    units = [report.spec.parameter(name).unit for name in posterior.names]
    draws = posterior.draws.reshape(-1, len(posterior.names))
    head, rows = posterior_cells(posterior, report.spec)
    return [
        select(control, "Parameter", list(posterior.names)),
        figure(
            "posterior",
            posterior_figure(posterior.names, units, draws, posterior.interval, posterior.normal, control),
        ),
        table(head, rows, caption="Draws of the posterior", texts=(3, 4, 7)),
        bullets([posterior.fact, CHAINS, *posterior.warnings]),
    ]


def _profiles(report: FitReport) -> list[Part]:
    parts: list[Part] = []
    for profile in report.profiles:
        row = report.spec.parameter(profile.name)
        marks = {"fit": float(report.fitted.params[profile.name])}
        default = float(report.spec.default_params[profile.name])
        if profile.values.min() <= default <= profile.values.max():
            marks["default"] = default
        shown = profile_figure(profile.name, row.unit, profile.values, profile.excess, LIMIT, marks)
        parts += [
            subheading(f"Profile of {profile.name}"),
            figure(f"profile-{profile.name}", shown, profile_fact(profile, row.unit)),
        ]
    return parts


def _trade_offs(report: FitReport) -> list[Part]:
    if len(report.names) < 2:
        return []
    says = f"Correlations of the errors of {len(report.names)} parameters. {' '.join(pair_facts(report))}"
    shown = correlation_figure(report.names, report.correlation, says)
    return [bullets(pair_facts(report)), figure("correlations", shown)]

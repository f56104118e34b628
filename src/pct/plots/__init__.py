"""Every figure that PCT draws: plain arrays in, one figure out, labels and bounds from the model's tables.

A ``draw_*`` function returns the figure; `in_style`, `to_png` and `to_svg` call it in PCT's style.
"""

from pct.plots.agreement import Forest as Forest
from pct.plots.agreement import draw_agreement as draw_agreement
from pct.plots.card import card_figures as card_figures
from pct.plots.columns import Curve as Curve
from pct.plots.columns import draw_columns as draw_columns
from pct.plots.correlations import draw_correlations as draw_correlations
from pct.plots.curves import Band as Band
from pct.plots.curves import Panel as Panel
from pct.plots.curves import draw_curves as draw_curves
from pct.plots.design import draw_design as draw_design
from pct.plots.error_growth import draw_error_growth as draw_error_growth
from pct.plots.finding import draw_finding as draw_finding
from pct.plots.ladder import draw_bins as draw_bins
from pct.plots.ladder import draw_growth_bands as draw_growth_bands
from pct.plots.ladder import draw_ladder as draw_ladder
from pct.plots.loss_curves import draw_losses as draw_losses
from pct.plots.parameters import draw_parameters as draw_parameters
from pct.plots.posterior import draw_posterior as draw_posterior
from pct.plots.profile import draw_profile as draw_profile
from pct.plots.race import draw_race as draw_race
from pct.plots.race_animation import animate_race as animate_race
from pct.plots.residuals import draw_residuals as draw_residuals
from pct.plots.scenario import draw_scenario as draw_scenario
from pct.plots.style import BASELINE as BASELINE
from pct.plots.style import CONTROL as CONTROL
from pct.plots.style import MUTED as MUTED
from pct.plots.style import PREDICTED as PREDICTED
from pct.plots.style import TRUTH as TRUTH
from pct.plots.style import Drawing as Drawing
from pct.plots.style import as_png as as_png
from pct.plots.style import in_style as in_style
from pct.plots.style import to_png as to_png
from pct.plots.style import to_svg as to_svg
from pct.plots.track import Tracking as Tracking
from pct.plots.track import draw_track as draw_track
from pct.plots.track import draw_track_map as draw_track_map

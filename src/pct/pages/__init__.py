"""HTML pages that need no network: parts with their figures in, one document out.

A page is `page(title, sections, lead=[verdict(...)])`. A section holds parts: `table`, `bullets`,
`paragraph`, `commands`, `figure`, `grid`, `details`, and the controls `slider` and `select`. A part holds
plain values and the figures that it shows; `figures_in` gives these.

A figure is a plain value of plotly.js: traces, layout, and ``says``, which is the figure in words for who
cannot see it. `pct.pages.charts` makes the usual ones of arrays; `pct.pages.figures` has what they are made
of. Where its ``by`` names a control, each step of that control changes traces or layout; any number of
figures may follow one control, and a figure several. Colours are names of the style: ``var(--simulated)``.

Everything is data until a template escapes it: names of files, columns and drives go in as they are. What
plotly itself reads as text passes `pct.pages.figures.text`, as ``line`` and ``axis_title`` do.

`environment(folder)` gives the templates to pages of another kind: ``base.html`` has the blocks ``style``,
``header``, ``main`` and ``scripts``; ``parts.html`` has the macros ``show(parts)`` and ``script(figures,
library, inlined)``: import it ``with context``. A server names the address of `plotly_script` as ``library``,
then it is not in the page.

Nothing here imports plotly or jinja2 before a page is made.
"""

from pct.pages.document import environment as environment
from pct.pages.document import page as page
from pct.pages.document import png_source as png_source
from pct.pages.figures import Figure as Figure
from pct.pages.figures import Step as Step
from pct.pages.library import plotly_script as plotly_script
from pct.pages.parts import Part as Part
from pct.pages.parts import Section as Section
from pct.pages.parts import Tone as Tone
from pct.pages.parts import bullets as bullets
from pct.pages.parts import commands as commands
from pct.pages.parts import details as details
from pct.pages.parts import figure as figure
from pct.pages.parts import grid as grid
from pct.pages.parts import links as links
from pct.pages.parts import paragraph as paragraph
from pct.pages.parts import picture as picture
from pct.pages.parts import select as select
from pct.pages.parts import slider as slider
from pct.pages.parts import subheading as subheading
from pct.pages.parts import table as table
from pct.pages.parts import verdict as verdict

"use strict";
(async () => {
  const root = document.documentElement;
  const plots = [...document.querySelectorAll("[data-figure]")];
  const failed = (plot, error) => {
    plot.textContent = "This figure cannot be drawn: " + error;
    plot.classList.add("failed");
    plot.dataset.failed = String(error);
  };

  // Base64 of gzip, as pct.pages.library packs it.
  const unpack = async (id) => {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };

  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const merge = (base, change) => {
    const out = { ...base };
    for (const [key, value] of Object.entries(change)) {
      out[key] = isObject(value) && isObject(out[key]) ? merge(out[key], value) : value;
    }
    return out;
  };

  // Names of colours become the colours of the style that is in force.
  const named = /^var\((--[a-z-]+)\)$/;
  const coloured = (value, style) => {
    if (typeof value === "string") {
      const found = value.match(named);
      return found ? style.getPropertyValue(found[1]).trim() : value;
    }
    if (Array.isArray(value)) {
      // Long arrays hold numbers.
      return value.length && (isObject(value[0]) || typeof value[0] === "string")
        ? value.map((item) => coloured(item, style)) : value;
    }
    if (isObject(value)) {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, style)]));
    }
    return value;
  };

  const axis = (style) => ({
    gridcolor: style.getPropertyValue("--line").trim(), linecolor: style.getPropertyValue("--quiet").trim(),
    zerolinecolor: style.getPropertyValue("--line").trim(), automargin: true, title: { standoff: 6 },
  });
  const template = (style) => ({
    layout: {
      font: { family: "system-ui, sans-serif", size: 12, color: style.getPropertyValue("--ink").trim() },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 56, r: 14, t: 34, b: 44 }, hovermode: "closest",
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" },
      hoverlabel: {
        bgcolor: style.getPropertyValue("--raised").trim(),
        font: { color: style.getPropertyValue("--ink").trim() },
      },
      title: { font: { size: 13 }, x: 0, xref: "paper", xanchor: "left" },
      xaxis: axis(style), yaxis: axis(style),
    },
  });

  // Pixels across a printed page.
  const PAPER = 680;
  const onPaper = () => root.classList.contains("paper");

  let figures = {};
  const chosen = {};
  // A finger that moves over a figure scrolls the page.
  const dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom";
  const draw = async (plot) => {
    const name = plot.dataset.figure;
    try {
      const figure = figures[name];
      let { data, layout } = figure;
      for (const [control, steps] of Object.entries(figure.by)) {
        const step = steps[chosen[control] ?? 0];
        data = data.map((trace, n) => (step.data[n] ? merge(trace, step.data[n]) : trace));
        layout = merge(layout, step.layout);
      }
      const style = getComputedStyle(root);
      layout = merge({ template: template(style), dragmode, autosize: true }, coloured(layout, style));
      if (onPaper()) layout.width = PAPER;
      const options = { responsive: true, displayModeBar: false, scrollZoom: false };
      await Plotly.react(plot, coloured(data, style), layout, options);
      plot.dataset.drawn = JSON.stringify(Object.keys(figure.by).map((control) => chosen[control] ?? 0));
    } catch (error) {
      failed(plot, error);
    }
  };
  const drawAll = async () => {
    for (const plot of plots) {
      await draw(plot);
      // Between two figures the page answers its reader.
      await new Promise((ready) => setTimeout(ready, 0));
    }
  };

  const choose = (input) => {
    const control = input.dataset.control;
    chosen[control] = Number(input.value);
    const steps = document.querySelector(`[data-steps="${control}"]`);
    if (steps) {
      const said = JSON.parse(steps.textContent)[chosen[control]];
      input.setAttribute("aria-valuetext", said);
      input.parentElement.querySelector("output").textContent = said;
    }
    for (const plot of plots) {
      if (figures[plot.dataset.figure]?.by[control]) draw(plot);
    }
  };
  for (const input of document.querySelectorAll("[data-control]")) {
    // A browser may put the former value back when the page is loaded again.
    if (input.type === "range") input.value = 0;
    input.addEventListener("input", () => choose(input));
  }
  for (const button of document.querySelectorAll("[data-jump]")) {
    button.addEventListener("click", () => {
      const input = document.getElementById("control-" + button.dataset.jump);
      input.value = button.dataset.step;
      choose(input);
    });
  }

  // What is folded away has no width, and paper shows everything.
  for (const folded of document.querySelectorAll("details")) {
    folded.addEventListener("toggle", () => {
      for (const plot of folded.querySelectorAll("[data-drawn]")) Plotly.Plots.resize(plot);
    });
  }
  // Paper is white and narrow. The browser waits for no promise here: a figure is drawn before one is needed.
  addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("details")) folded.open = true;
    root.classList.add("paper");
    for (const plot of plots) draw(plot);
  });
  addEventListener("afterprint", () => {
    root.classList.remove("paper");
    drawAll();
  });

  try {
    figures = JSON.parse(await unpack("packed-figures"));
    if (document.getElementById("packed-library")) {
      const library = document.createElement("script");
      library.textContent = await unpack("packed-library");
      document.head.append(library);
    }
  } catch (error) {
    for (const plot of plots) failed(plot, error);
    root.dataset.figures = "failed";
    return;
  }
  await drawAll();
  root.dataset.figures = "drawn";
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();

"use strict";
// Names are data: everything that comes from a folder goes through textContent or setAttribute.
const SVG = "http://www.w3.org/2000/svg", POLL = 2000;
const at = (id) => document.getElementById(id);
const here = at("show").dataset;
const json = (id) => { const place = at(id); return place ? JSON.parse(place.textContent) : null; };

function make(tag, attributes = {}, ...children) {
  const one = ["svg", "path", "line", "circle", "text", "rect"].includes(tag)
    ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
  one.append(...children);
  return one;
}

const short = (value) => Number(value.toPrecision(3)).toString();

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function told(progress) {
  const of = progress.epochs ? `/${progress.epochs}` : "";
  const ended = progress.epochs !== null && progress.epoch >= progress.epochs && progress.left === 0;
  const left = ended ? ", finishing" : progress.left === null ? "" : `, ${duration(progress.left)} left`;
  return `epoch ${progress.epoch}${of}${left}`;
}

// Both losses over the steps, on a logarithmic axis where none is zero.
function lossCurve(progress) {
  const wide = 360, high = 170, left = 46, foot = 22, all = [...progress.train, ...progress.validation];
  if (all.length === 0) return make("p", { class: "quiet" }, "No step is logged yet.");
  const log = all.every(([, value]) => value > 0), scale = log ? Math.log10 : (value) => value;
  const values = all.map(([, value]) => scale(value)), steps = all.map(([step]) => step);
  const low = Math.min(...values), top = Math.max(...values), first = Math.min(...steps), last = Math.max(...steps);
  const x = (step) => left + (wide - left - 6) * (last > first ? (step - first) / (last - first) : 0.5);
  const y = (value) => 6 + (high - foot - 12) * (top > low ? (top - scale(value)) / (top - low) : 0.5);
  const path = (points) => points.map(([step, value], n) => `${n ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const back = (value) => short(log ? 10 ** value : value);
  const end = (points) => (points.length ? short(points[points.length - 1][1]) : "none");
  const label = `Loss over ${last} steps: training ${end(progress.train)}, validation ${end(progress.validation)}`;
  const picture = make("svg", { viewBox: `0 0 ${wide} ${high}`, width: wide, role: "img", "aria-label": label },
    make("path", { class: "frame", d: `M${left} 6V${high - foot}H${wide - 6}` }),
    make("path", { class: "train", d: path(progress.train) }),
    make("path", { class: "validation", d: path(progress.validation) }),
    make("text", { x: left - 4, y: 14, "text-anchor": "end" }, back(top)),
    make("text", { x: left - 4, y: high - foot, "text-anchor": "end" }, back(low)),
    make("text", { x: left, y: high - 6 }, `step ${first}`),
    make("text", { x: wide - 6, y: high - 6, "text-anchor": "end" }, String(last)));
  return make("div", {}, picture, make("p", { class: "quiet" }, `loss: training ${end(progress.train)} (thin), validation ${end(progress.validation)} (bold)`));
}

// The list: filters, order and selection are kept in the address, so that a link or a step back shows the same.
const list = { selected: new Set(), column: 4, down: true, data: {} };
const fields = ["text", "kind", "model", "state"];
const rows = () => [...at("runs").tBodies[0].rows];

function filter() {
  const words = at("text").value.toLowerCase().split(/\s+/).filter(Boolean);
  let seen = 0;
  for (const row of rows()) {
    const text = row.textContent.toLowerCase();
    const fits = words.every((word) => text.includes(word)) &&
      ["kind", "model", "state"].every((field) => !at(field).value || row.dataset[field] === at(field).value);
    row.hidden = !fits;
    seen += fits;
  }
  const total = rows().length, chosen = list.selected.size;
  at("count").textContent = total === 0 ? "No result yet: pct demo makes one, or pct run with a log of your own." : `${seen === total ? total : `${seen} of ${total}`} results${chosen ? `, ${chosen} selected` : ""}`;
  at("compare").disabled = chosen < 2;
  at("clear").hidden = chosen === 0;
  remember();
}

function order() {
  const key = (row) => row.cells[list.column + 1].dataset.sort;
  const numbers = rows().map(key).every((text) => text === "" || !Number.isNaN(Number(text)));
  const sign = list.down ? -1 : 1;
  const sorted = rows().sort((a, b) => {
    const one = key(a), other = key(b);
    if (one === "" || other === "") return (one === "") - (other === "");
    return sign * (numbers ? Number(one) - Number(other) : one.localeCompare(other, undefined, { numeric: true }));
  });
  at("runs").tBodies[0].append(...sorted);
  [...at("runs").tHead.rows[0].cells].slice(1).forEach((cell, n) => {
    if (n === list.column) cell.setAttribute("aria-sort", list.down ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  });
}

function remember() {
  const state = new URLSearchParams();
  for (const field of fields) if (at(field).value) state.set(field, at(field).value);
  if (list.column !== 4 || !list.down) state.set("sort", `${list.column}${list.down ? "-" : "+"}`);
  if (list.selected.size) state.set("selected", [...list.selected].join(" "));
  history.replaceState(null, "", `#${state}`);
}

function recall() {
  const state = new URLSearchParams(location.hash.slice(1));
  for (const field of fields) if (state.has(field)) at(field).value = state.get(field);
  const sort = /^([0-6])([+-])$/.exec(state.get("sort") ?? "");
  if (sort) { list.column = Number(sort[1]); list.down = sort[2] === "-"; }
  for (const id of (state.get("selected") ?? "").split(" ")) if (Object.hasOwn(list.data, id)) list.selected.add(id);
}

function markSelected() {
  for (const row of rows()) row.querySelector("input").checked = list.selected.has(row.dataset.id);
}

// Several results beside each other: numbers with intervals, and what differs in how they were made.
function compare() {
  const chosen = rows().map((row) => row.dataset.id).filter((id) => list.selected.has(id)).map((id) => list.data[id]);
  const names = (part) => [...new Set(chosen.flatMap((one) => Object.keys(one[part])))];
  const body = make("tbody");
  const group = (title, lines) => {
    if (!lines.length) return;
    body.append(make("tr", { class: "group" }, make("th", { scope: "colgroup", colspan: chosen.length + 2 }, title)), ...lines);
  };
  const line = (name, cells, last = "") => make("tr", {}, make("th", { scope: "row" }, name), ...cells, make("td", {}, last));
  // What one result does not state is no difference: a fit from Python has no flags.
  const stated = (part, name) => chosen.map((one) => one[part][name]).filter((text) => text !== undefined);
  const texts = (part, differing) => names(part)
    .filter((name) => !differing || new Set(stated(part, name)).size > 1)
    .map((name) => line(name, chosen.map((one) => make("td", {}, one[part][name] ?? "–"))));
  const quantities = (part) => names(part).map((name) => {
    const found = chosen.map((one) => one[part][name]);
    const cells = found.map((one) => (one
      ? make("td", {}, one.text, ...[one.interval && `[${one.interval}]`, one.note].filter(Boolean).map((text) => make("span", {}, text)))
      : make("td", {}, "–")));
    return line(name, cells, whiskers(found));
  });
  group("About", texts("about"));
  group("Parameters", quantities("parameters"));
  group("Scores", quantities("scores"));
  group("Settings that differ", texts("settings", true));
  group("Made with, where it differs", texts("made with", true));
  const head = chosen.map((one) => make("th", { scope: "col" }, make("a", { href: one.page }, make("bdi", {}, one.place))));
  at("compared").replaceChildren(
    make("thead", {}, make("tr", {}, make("td"), ...head, make("th", { scope: "col" }, "side by side"))), body);
  at("judge").hidden = !chosen.every((one) => one.fit);
  at("judge-command").textContent = `pct compare ${chosen.map((one) => one.fit).join(" ")} --page difference.html`;
  at("comparison").hidden = false;
  at("comparison").focus();
}

// Values and intervals of one quantity on a common axis, in the order of the columns.
function whiskers(found) {
  const known = found.filter((one) => one && one.value !== null);
  if (known.length < 2) return "";
  const ends = known.flatMap((one) => [one.value, one.low ?? one.value, one.high ?? one.value]);
  const low = Math.min(...ends), top = Math.max(...ends), wide = 150, step = 14;
  const x = (value) => (6 + (wide - 12) * (top > low ? (value - low) / (top - low) : 0.5)).toFixed(1);
  const marks = found.flatMap((one, n) => {
    if (!one || one.value === null) return [];
    const y = step * n + step / 2, odd = n % 2 ? " odd" : "";
    const dot = make("circle", { class: `dot${odd}`, cx: x(one.value), cy: y, r: 3.5 });
    return one.low === null ? [dot] : [make("line", { class: `whisker${odd}`, x1: x(one.low), x2: x(one.high), y1: y, y2: y }), dot];
  });
  return make("svg", { viewBox: `0 0 ${wide} ${step * found.length}`, width: wide, "aria-hidden": "true" }, ...marks);
}

function showRunning(runs) {
  const known = Object.entries(runs).filter(([id]) => Object.hasOwn(list.data, id));
  at("running").hidden = known.length === 0;
  at("cards").replaceChildren(...known.map(([id, progress]) => {
    const link = make("a", { href: list.data[id].page }, make("bdi", {}, list.data[id].place));
    const bar = progress.epochs ? [make("progress", { max: progress.epochs, value: progress.epoch, "aria-label": "Epochs done" })] : [];
    const row = at(`row-${id}`);
    if (row) row.querySelector(".progress").textContent = told(progress);
    return make("article", { class: "card" }, make("p", {}, link), make("p", {}, told(progress)), ...bar, lossCurve(progress));
  }));
}

async function pollList() {
  const now = await (await fetch("live.json", { cache: "no-store" })).json();
  if (String(now.version) !== here.live) {
    const text = await (await fetch("index.html", { cache: "no-store" })).text();
    const fresh = new DOMParser().parseFromString(text, "text/html");
    at("runs").tBodies[0].replaceWith(document.adoptNode(fresh.getElementById("runs").tBodies[0]));
    for (const field of ["kind", "model", "state"]) {
      const value = at(field).value;
      at(field).replaceChildren(...fresh.getElementById(field).children);
      at(field).value = value;
    }
    list.data = JSON.parse(fresh.getElementById("data").textContent);
    for (const id of list.selected) if (!Object.hasOwn(list.data, id)) list.selected.delete(id);
    here.live = fresh.getElementById("show").dataset.live;
    markSelected(); order(); filter();
  }
  showRunning(now.runs);
}

async function pollResult() {
  const now = await (await fetch("../live.json", { cache: "no-store" })).json();
  const progress = now.runs[here.id];
  if (String(now.version) !== here.live) location.reload();
  else if (progress) showCurve(progress, true);
}

function showCurve(progress, running) {
  if (at("curve")) at("curve").replaceChildren(make("h2", {}, "Loss"), lossCurve(progress));
  if (running) document.querySelector("header .progress").textContent = told(progress);
}

function repeat(poll) {
  const again = () => setTimeout(() => repeat(poll), POLL);
  poll().then(again, () => {
    const place = at("count") ?? document.querySelector("header .progress");
    place.textContent = "The server has ended: what is shown is of its last moment.";
    again();
  });
}

if (here.page === "list") {
  list.data = json("data");
  recall();
  at("filters").addEventListener("input", filter);
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("compare").addEventListener("click", compare);
  at("clear").addEventListener("click", () => { list.selected.clear(); at("comparison").hidden = true; markSelected(); filter(); at("text").focus(); });
  at("runs").addEventListener("change", (event) => {
    const id = event.target.closest("tr").dataset.id;
    if (event.target.checked) list.selected.add(id); else list.selected.delete(id);
    filter();
    if (!at("comparison").hidden && list.selected.size > 1) { compare(); event.target.focus(); }
  });
  [...at("runs").tHead.rows[0].cells].slice(1).forEach((cell, n) => cell.querySelector("button").addEventListener("click", () => {
    list.down = list.column === n ? !list.down : n === 4;
    list.column = n;
    order(); remember();
  }));
  markSelected(); order(); filter();
  if (list.selected.size > 1) compare();
  if (here.live) repeat(pollList);
} else {
  const points = json("points");
  if (points) showCurve(points, false);
  if (here.live) repeat(pollResult);
}

// The trade-off curve: one point a model, the linear path joined, the slider's point ringed.
const AXIS_NAMES = { instruction: "Instruction following", medical: "Medical knowledge", clinical: "Clinical generation", "": "Other" };
const SYMBOLS = { ancestor: "circle-open", general: "square", clinical: "square", merge: "circle", adapted: "triangle-up" };
const onPath = new Map(page.path.map((stop, index) => [stop.model, index]));
const curve = byId("curve");
let ring = null; // {x, y, trace}
let glide = 0;

function chosen() {
  return [byId("x-metric").value, byId("y-metric").value];
}

function pointOf(model) {
  const [x, y] = chosen().map((key) => scoreOf(model, key));
  return x && y ? { x, y } : null;
}

function frontLabels() {
  return page.fronts[chosen().sort().join("|")] || [];
}

// The front: a dotted line through the models that no other one beats on both measures; their marks are edged in ink.
function frontTrace() {
  const points = frontLabels().map(pointOf).filter(Boolean).sort((one, two) => one.x.value - two.x.value);
  return {
    type: "scatter", mode: "lines", x: points.map((point) => point.x.value), y: points.map((point) => point.y.value),
    line: { color: theme("ink"), width: 2, dash: "dot" }, hoverinfo: "skip", opacity: 0.75,
  };
}

function pointTrace(model) {
  const point = pointOf(model.label);
  const stop = page.path[onPath.get(model.label)];
  const colour = stop ? colourOf(stop.a) : theme("soft");
  const bars = (score) => ({
    type: "data", symmetric: false, array: [score.high - score.value], arrayminus: [score.value - score.low],
    color: faded(stop ? colour : "rgb(128,134,142)", 0.5), thickness: 1.2, width: 0,
  });
  const leads = frontLabels().includes(model.label);
  const edge = symbol => (symbol.endsWith("open") ? colour : leads ? theme("ink") : theme("ground"));
  const parent = model.role === "general" || model.role === "clinical";
  const symbol = !stop && model.role === "merge" ? "diamond" : SYMBOLS[model.role];
  const [xKey, yKey] = chosen();
  const line = (key, score) => `${page.metrics[key].label}: ${written(key, score.value)} ${bracket(key, score)}`;
  return {
    type: "scatter", mode: "markers", x: [point.x.value], y: [point.y.value], error_x: bars(point.x), error_y: bars(point.y),
    marker: { symbol, size: parent ? 13 : 12, color: colour, line: { width: symbol.endsWith("open") || leads ? 2 : 1, color: edge(symbol) } },
    customdata: [model.label],
    hovertemplate: `<b>${model.label}</b><br>${line(yKey, point.y)}<br>${line(xKey, point.x)}<extra></extra>`,
  };
}

// Where a label may stand around its point: x anchor, y anchor, shifts in pixels; the first that is free is taken.
const PLACES = [["left", "bottom", 8, 5], ["right", "bottom", -8, 5], ["left", "top", 8, -5], ["right", "top", -8, -5], ["center", "bottom", 0, 14],
  ["center", "top", 0, -14], ["left", "bottom", 8, 20], ["right", "bottom", -8, 20], ["left", "top", 8, -20], ["right", "top", -8, -20]];

function labelOf(model) {
  const stop = page.path[onPath.get(model.label)];
  return stop && model.role === "merge" ? `a = ${stop.nominal}` : model.label;
}

function nameTags(models) {
  const { xaxis, yaxis } = curve._fullLayout;
  const at = (model) => ({ x: xaxis.d2p(pointOf(model.label).x.value), y: yaxis.d2p(pointOf(model.label).y.value) });
  const taken = models.map((model) => at(model)).map(({ x, y }) => [x - 7, y - 7, x + 7, y + 7]);
  const overlap = (one, two) => Math.max(0, Math.min(one[2], two[2]) - Math.max(one[0], two[0])) * Math.max(0, Math.min(one[3], two[3]) - Math.max(one[1], two[1]));
  const box = ({ x, y }, [xAnchor, yAnchor, dx, dy], width) => {
    const left = x + dx - { left: 0, center: width / 2, right: width }[xAnchor];
    const top = y - dy - (yAnchor === "bottom" ? 16 : 0);
    return [left, top, left + width, top + 16];
  };
  return [...models].sort((one, two) => onPath.has(two.label) - onPath.has(one.label)).map((model) => {
    const point = at(model);
    const width = 7 * labelOf(model).length;
    const outside = (found) => Math.max(0, found[2] - xaxis._length) * 16 + Math.max(0, -found[0]) * 16;
    const cost = (place) => taken.reduce((sum, other) => sum + overlap(box(point, place, width), other), outside(box(point, place, width)));
    const place = PLACES.reduce((best, next) => (cost(next) < cost(best) - 1 ? next : best));
    taken.push(box(point, place, width));
    const stop = page.path[onPath.get(model.label)];
    const parent = stop && model.role !== "merge";
    return {
      x: pointOf(model.label).x.value, y: pointOf(model.label).y.value, text: parent ? `<b>${labelOf(model)}</b>` : labelOf(model),
      showarrow: false, xanchor: place[0], yanchor: place[1], xshift: place[2], yshift: place[3],
      font: { size: 12, color: stop ? colourOf(stop.a) : theme("soft") }, bgcolor: `${theme("ground")}b0`, borderpad: 0,
    };
  });
}

function labelCurve() {
  const models = page.models.filter((model) => pointOf(model.label));
  const arrows = models.filter((model) => model.role === "adapted" && pointOf(model.start)).map(adaptationArrow);
  Plotly.relayout(curve, { annotations: [...arrows, ...nameTags(models)] });
}

function adaptationArrow(model) {
  const [from, to] = [pointOf(model.start), pointOf(model.label)];
  return {
    x: to.x.value, y: to.y.value, ax: from.x.value, ay: from.y.value, xref: "x", yref: "y", axref: "x", ayref: "y", text: "",
    showarrow: true, arrowhead: 2, arrowsize: 1, arrowwidth: 1.2, arrowcolor: theme("soft"), standoff: 8, startstandoff: 9, opacity: 0.7,
  };
}

function drawCurve() {
  const models = page.models.filter((model) => pointOf(model.label));
  const stops = page.path.map((stop) => pointOf(stop.model)).filter(Boolean);
  const joined = {
    type: "scatter", mode: "lines", x: stops.map((stop) => stop.x.value), y: stops.map((stop) => stop.y.value),
    line: { color: theme("soft"), width: 1.5 }, hoverinfo: "skip", opacity: 0.6,
  };
  const ringTrace = { type: "scatter", mode: "markers", x: [null], y: [null], hoverinfo: "skip", marker: { symbol: "circle-open", size: 25, line: { width: 3 } } };
  const traces = [joined, frontTrace(), ...models.map(pointTrace), ringTrace];
  const [xKey, yKey] = chosen();
  const direction = (key) => (page.metrics[key].better < 0 ? "reversed" : true);
  const layout = plainLayout({
    margin: { l: 62, r: 16, t: 8, b: 52 },
    xaxis: { title: { text: axisTitle(xKey), standoff: 12 }, autorange: direction(xKey) },
    yaxis: { title: { text: curve.clientWidth < 480 ? page.metrics[yKey].label : axisTitle(yKey), standoff: 12 }, autorange: direction(yKey) },
  });
  ring = { trace: traces.length - 1, x: null, y: null };
  Plotly.react(curve, traces, layout, plotConfig);
  byId("front").textContent = `On the front: ${frontLabels().join("; ") || "none"}.`;
  labelCurve();
  moveRing(current, false);
}

function placeRing(x, y, colour) {
  Object.assign(ring, { x, y });
  Plotly.restyle(curve, { x: [[x]], y: [[y]], "marker.color": colour, "marker.line.color": colour }, [ring.trace]);
}

// Glides along the path, so that the eye follows; jumps where the reader asked for stillness.
function moveRing(index, smooth = true) {
  const stop = page.path[index];
  const point = stop && pointOf(stop.model);
  cancelAnimationFrame(glide);
  if (!point) return placeRing(null, null, theme("soft"));
  const [fromX, fromY, started] = [ring.x, ring.y, performance.now()];
  const colour = colourOf(stop.a);
  if (!smooth || still.matches || fromX === null) return placeRing(point.x.value, point.y.value, colour);
  const step = (now) => {
    const part = Math.min(1, (now - started) / 220);
    const eased = 1 - (1 - part) ** 3;
    placeRing(fromX + eased * (point.x.value - fromX), fromY + eased * (point.y.value - fromY), colour);
    if (part < 1) glide = requestAnimationFrame(step);
  };
  glide = requestAnimationFrame(step);
}

function startCurve() {
  const options = Object.entries(page.metrics).filter(([, metric]) => metric.plotted && metric.axis in AXIS_NAMES);
  const groups = Object.entries(AXIS_NAMES)
    .map(([axis, name]) => [name, options.filter(([, metric]) => metric.axis === axis).map(([key, metric]) => [key, metric.label])])
    .filter(([, found]) => found.length);
  const [x, y] = [byId("x-metric"), byId("y-metric")];
  for (const select of [x, y]) {
    fillSelect(select, groups);
    select.addEventListener("change", drawCurve);
  }
  if (page.opening.length) [x.value, y.value] = page.opening;
  drawCurve();
  curve.on("plotly_click", (event) => {
    const index = onPath.get(event.points[0].customdata);
    if (index !== undefined) goTo(index);
  });
  window.addEventListener("resize", () => setTimeout(labelCurve, 150));
  listeners.push((index) => moveRing(index));
}

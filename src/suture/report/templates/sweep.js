// The coefficient sweep: a small chart a judged measure, its interval as a band, the floor dashed.
const sweepPlots = [];

function drawSweep(plot, axis) {
  const stops = page.path.map((stop) => ({ a: stop.a, label: stop.model, score: scoreOf(stop.model, axis.key) })).filter((stop) => stop.score);
  const a = stops.map((stop) => stop.a);
  const { scale } = page.metrics[axis.key];
  const ink = theme("soft");
  const traces = [
    { type: "scatter", mode: "lines", x: a, y: stops.map((stop) => stop.score.low), line: { width: 0 }, hoverinfo: "skip" },
    { type: "scatter", mode: "lines", x: a, y: stops.map((stop) => stop.score.high), line: { width: 0 }, fill: "tonexty", fillcolor: "rgba(143,99,160,.16)", hoverinfo: "skip" },
    {
      type: "scatter", mode: "lines+markers", x: a, y: stops.map((stop) => stop.score.value), line: { color: ink, width: 1.5 },
      marker: { size: 9, color: a.map(colourOf), line: { width: 1, color: theme("ground") } },
      text: stops.map((stop) => `<b>${stop.label}</b><br>${written(axis.key, stop.score.value)} ${bracket(axis.key, stop.score)}, n = ${stop.score.n}`),
      hovertemplate: "%{text}<extra></extra>",
    },
  ];
  const shapes = [{ type: "line", x0: page.path[current].a, x1: page.path[current].a, y0: 0, y1: 1, yref: "paper", line: { color: colourOf(page.path[current].a), width: 2 }, layer: "between" }];
  const annotations = [];
  if (axis.floorValue !== null) {
    const floor = axis.floorValue * scale;
    traces.push({ type: "scatter", mode: "lines", x: [0, 1], y: [floor, floor], line: { color: ink, width: 1, dash: "dash" }, hoverinfo: "skip" });
    annotations.push({ x: 1, y: floor, text: axis.floor, showarrow: false, xanchor: "right", yanchor: "bottom", font: { size: 11, color: ink } });
  }
  const layout = plainLayout({
    margin: { l: 44, r: 10, t: 6, b: 30 }, shapes, annotations,
    xaxis: { range: [-0.04, 1.04], tickvals: a, ticktext: a.map(String), showgrid: false },
    yaxis: { nticks: 6, autorange: page.metrics[axis.key].better < 0 ? "reversed" : true },
  });
  Plotly.react(plot, traces, layout, plotConfig);
}

function startSweep() {
  for (const axis of page.axes) {
    const plot = element("div", "plot");
    byId("sweeps").append(element("figure", "panel", element("figcaption", "", axisTitle(axis.key)), plot));
    sweepPlots.push([plot, axis]);
  }
  for (const [plot, axis] of sweepPlots) drawSweep(plot, axis);
  listeners.push((index) => {
    const { a } = page.path[index];
    for (const [plot] of sweepPlots) Plotly.relayout(plot, { "shapes[0].x0": a, "shapes[0].x1": a, "shapes[0].line.color": colourOf(a) });
  });
}

// Data of the page, small helpers, and the theme as the style sheet says it.
document.documentElement.classList.remove("no-script");
const page = JSON.parse(document.getElementById("page-data").textContent);
const listeners = [];
const byId = (id) => document.getElementById(id);
const still = window.matchMedia("(prefers-reduced-motion: reduce)");
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const scores = new Map(page.scores.map((score) => [`${score.model}\n${score.key}`, score]));

// An element with a class, text and children. Text never becomes markup.
function element(tag, className = "", ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function scoreOf(model, key) {
  const score = scores.get(`${model}\n${key}`);
  if (!score || score.value === null) return null;
  const { scale } = page.metrics[key];
  const bound = (value) => (value === null ? score.value : value) * scale;
  return { n: score.n, value: score.value * scale, low: bound(score.low), high: bound(score.high) };
}

function written(key, value) {
  return value.toFixed(page.metrics[key].decimals).replace("-", "−");
}

function bracket(key, score) {
  return `[${written(key, score.low)},\u202f${written(key, score.high)}]`;
}

function axisTitle(key) {
  const { label, unit } = page.metrics[key];
  return unit ? `${label} (${unit})` : label;
}

function theme(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// The colour of a coefficient in [0, 1]: from the general parent's to the clinical one's.
function colourOf(a) {
  const parse = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const [from, to, share] = a <= 0.5 ? ["a0", "a50", 2 * a] : ["a50", "a100", 2 * a - 1];
  const [low, high] = [parse(theme(from)), parse(theme(to))];
  return `rgb(${low.map((part, index) => Math.round(part + share * (high[index] - part))).join(",")})`;
}

function faded(colour, alpha) {
  return colour.replace("rgb(", "rgba(").replace(")", `,${alpha})`);
}

function plainLayout(changes) {
  const text = theme("soft");
  const axis = { gridcolor: theme("line"), linecolor: theme("line"), zeroline: false, ticks: "", fixedrange: true };
  const { xaxis = {}, yaxis = {}, ...rest } = changes;
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: theme("sans"), size: 12, color: text },
    showlegend: false,
    hovermode: "closest",
    hoverlabel: { bgcolor: theme("raised"), bordercolor: theme("line"), font: { color: theme("ink"), size: 13 } },
    xaxis: { ...axis, ...xaxis },
    yaxis: { ...axis, ...yaxis },
    ...rest,
  };
}

const plotConfig = { displayModeBar: false, displaylogo: false, responsive: true, doubleClick: false, scrollZoom: false };

function fillSelect(select, groups) {
  for (const [name, options] of groups) {
    const group = element("optgroup");
    group.label = name;
    for (const [value, text] of options) group.append(new Option(text, value));
    select.append(group);
  }
}

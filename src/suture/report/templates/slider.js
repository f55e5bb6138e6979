// The slider: one position, told to every part of the page, and kept in the address as #a=0.5.
const TONES = { kept: ["kept", "✓"], forgotten: ["forgotten", "✕"], "not established at this n": ["open", "?"] };
const headline = document.querySelector(".headline.follows");
let current = 0;

function showReadout(index) {
  const stop = page.path[index];
  document.querySelector(".readout-a").textContent = `${stop.model}, a = ${stop.nominal}, realised ${stop.realised}`;
  document.querySelector(".readout-stake").replaceChildren(...page.axes.flatMap(({ key }) => {
    const score = scoreOf(stop.model, key);
    if (!score) return [];
    const value = element("dd", "value", `${written(key, score.value)} `, element("small", "", bracket(key, score)));
    const parts = [element("dt", "", axisTitle(key)), value];
    const stake = stop.stake.find((found) => found.key === key);
    if (stake) {
      const [tone, mark] = TONES[stake.verdict] || ["mute", "·"];
      parts.push(element("dd", "against", element("span", `chip ${tone}`, `${mark} ${stake.verdict.replace(" at this n", "")}`), ` ${stake.difference} vs\u00a0${stake.against}`));
    }
    return parts;
  }));
}

// The finding in words, as the server wrote it: opening, then each verb in its colour.
function writeHeadline(stop) {
  const last = stop.clauses.length - 1;
  const parts = stop.clauses.flatMap(([tone, verb, what], index) => [
    index === 0 ? " " : index === last ? ", and " : ", ", element("strong", tone, verb), ` ${what}`,
  ]);
  headline.replaceChildren(stop.opening, ...parts, ".");
}

// Reserves the height of the longest sentence, so that nothing jumps under the reader's hand.
function settleHeadline() {
  if (!headline) return;
  headline.style.minHeight = "";
  const heights = page.path.map((stop) => (writeHeadline(stop), headline.offsetHeight));
  headline.style.minHeight = `${Math.max(...heights)}px`;
  writeHeadline(page.path[current]);
}

function showPosition(index) {
  const stop = page.path[index];
  const input = byId("coefficient");
  document.documentElement.style.setProperty("--now", colourOf(stop.a));
  input.value = String(index);
  input.setAttribute("aria-valuetext", `a = ${stop.nominal}, ${stop.model}, realised ${stop.realised}`);
  byId("now-a").textContent = `a = ${stop.nominal}`;
  byId("now-realised").textContent = stop.realised;
  byId("now-model").textContent = stop.model;
  for (const tick of document.querySelectorAll(".ticks button")) tick.classList.toggle("now", Number(tick.dataset.stop) === index);
  for (const row of document.querySelectorAll("[data-model]")) row.classList.toggle("current", row.dataset.model === stop.model);
}

function goTo(index) {
  current = index;
  for (const listener of listeners) listener(index);
  history.replaceState(null, "", `#a=${page.path[index].nominal}`);
}

function stopInAddress() {
  const wanted = Number((/a=([\d.]+)/.exec(location.hash) || [])[1]);
  const nearest = (target) => page.path.reduce((best, stop, index) => (Math.abs(stop.a - target) < Math.abs(page.path[best].a - target) ? index : best), 0);
  return nearest(Number.isNaN(wanted) ? 0.5 : wanted);
}

function redraw() {
  drawCurve();
  if (page.path.length) goTo(current);
}

if (page.path.length) {
  current = stopInAddress();
  settleHeadline();
  window.addEventListener("resize", settleHeadline);
  listeners.push(showPosition, showReadout, showItems, markSweep);
  if (headline) listeners.push((index) => writeHeadline(page.path[index]));
  byId("coefficient").addEventListener("input", (event) => goTo(Number(event.target.value)));
  for (const tick of document.querySelectorAll(".ticks button")) tick.addEventListener("click", () => goTo(Number(tick.dataset.stop)));
  window.addEventListener("hashchange", () => goTo(stopInAddress()));
}
startCurve();
startAnswers();
startRegressions();
if (page.path.length) goTo(current);
dark.addEventListener("change", redraw);

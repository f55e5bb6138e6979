// The same prompt at every coefficient: prompt, reference, answer with new words marked, facts, scores of the item.
const FACT_TONES = { found: ["kept", "✓"], missing: ["open", "○"], fabricated: ["forgotten", "✕"] };

function showAnswer() {
  const item = page.answers[Number(byId("item").value)];
  const model = byId("answerer").value || page.path[current].model;
  const runs = item.answers[model] || [];
  byId("prompt").textContent = item.prompt;
  byId("reference").textContent = item.reference;
  byId("answer-title").textContent = `Answer of ${model}`;
  const first = page.path.length ? page.path[0].model : "";
  byId("answer").replaceChildren(...runs.map(([isNew, words]) => (isNew && model !== first ? element("ins", "", words) : words)));
  if (!runs.length) byId("answer").textContent = "(no answer)";
  byId("facts").replaceChildren(...(item.facts[model] || []).map((fact) => {
    const [tone, mark] = FACT_TONES[fact.state];
    const chip = element("span", `chip ${tone}`, `${mark} ${fact.text}`);
    chip.title = `${fact.kind}: ${fact.state}`;
    return chip;
  }));
  byId("fact-block").hidden = !(item.facts[model] || []).length;
  byId("answer-scores").replaceChildren(...(item.scores[model] || []).map(([name, value]) => element("div", "", element("dt", "", name), element("dd", "", value))));
}

function openItem(index) {
  byId("item").value = String(index);
  showAnswer();
  byId("answers").scrollIntoView({ behavior: still.matches ? "auto" : "smooth" });
}

function startAnswers() {
  if (!page.answers.length) return;
  const tasks = new Map();
  page.answers.forEach((item, index) => tasks.set(item.name, [...(tasks.get(item.name) || []), [String(index), item.item]]));
  fillSelect(byId("item"), [...tasks]);
  byId("answerer").append(new Option("at the slider", ""));
  for (const model of page.models) byId("answerer").append(new Option(model.label, model.label));
  byId("item").addEventListener("change", showAnswer);
  byId("answerer").addEventListener("change", showAnswer);
  listeners.push(() => {
    byId("answerer").value = "";
    showAnswer();
  });
}

// The worst regressions: items that a model lost against the parent better at them, with the three answers side by side.
const SHOWN_REGRESSIONS = 12;

function regressionEntry(row) {
  const item = page.answers[row.answer];
  const details = element("details", "regression");
  const score = row.score ? `, ${row.score}` : "";
  details.append(element("summary", "", element("b", "lost", "✕ "), `${row.model}: ${page.metrics[row.key].label}, lost to ${row.against}${score}`, element("code", "mute", ` ${item.item}`)));
  details.addEventListener("toggle", () => {
    if (!details.open || details.childElementCount > 1) return;
    const columns = [...new Set([...page.parents, row.model])].map((label) => {
      const text = (item.answers[label] || []).map(([, words]) => words).join("") || "(no answer)";
      return element("div", "", element("h3", "", label), element("div", "paper", text));
    });
    details.append(element("div", "triple", ...columns), element("h3", "", "Prompt"), element("div", "paper", item.prompt), element("h3", "", "Reference"), element("div", "paper", item.reference));
  });
  return details;
}

// All words typed must occur somewhere in the entry: model, measure, item, prompt, reference or one of the answers.
function searched(row) {
  const item = page.answers[row.answer];
  const answers = Object.values(item.answers).map((runs) => runs.map(([, words]) => words).join(""));
  return [row.model, row.against, page.metrics[row.key].label, item.item, item.prompt, item.reference, ...answers].join("\n").toLowerCase();
}

function startRegressions() {
  const list = byId("regression-list");
  if (!list) return;
  const input = byId("regression-search");
  const texts = page.regressions.map(searched);
  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = page.regressions.filter((row, index) => words.every((word) => texts[index].includes(word)));
    list.replaceChildren(...found.slice(0, SHOWN_REGRESSIONS).map(regressionEntry));
    byId("regression-count").textContent = found.length > SHOWN_REGRESSIONS ? `${SHOWN_REGRESSIONS} of ${found.length} shown` : `${found.length} found`;
  };
  input.addEventListener("input", show);
  show();
}

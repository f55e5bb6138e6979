// Which items the model at the slider lost and gained, against each parent.
function idList(ids, metricKey) {
  const task = metricKey.split("/")[0];
  return element("div", "ids", ...ids.map((id) => {
    const index = page.answers.findIndex((item) => item.task === task && item.item === id);
    if (index < 0) return element("code", "", id);
    const button = element("button", "", id);
    button.type = "button";
    button.addEventListener("click", () => openItem(index));
    return button;
  }));
}

const opened = new Set(page.axes.map((axis) => axis.key)); // judged measures start open; the reader's choice is kept

function itemDetails(row) {
  const details = element("details");
  details.open = opened.has(row.key);
  details.addEventListener("toggle", () => opened[details.open ? "add" : "delete"](row.key));
  const counts = [element("b", "lost", `${row.lost.length} lost`), ", ", element("b", "won", `${row.gained.length} gained`), ` of ${row.n}`];
  details.append(element("summary", "", `${page.metrics[row.key].label}: `, ...counts));
  for (const [name, style] of [["lost", "lost"], ["gained", "won"]]) {
    if (row[name].length) details.append(element("b", `${style} small`, name), idList(row[name], row.key));
  }
  return details;
}

function showItems(index) {
  const { model } = page.path[index];
  const parents = [...new Set(page.items.map((row) => row.against))];
  byId("item-lists").replaceChildren(...parents.map((parent) => {
    const rows = page.items.filter((row) => row.model === model && row.against === parent);
    const block = element("div", "", element("h3", "", `${model} against ${parent}`));
    if (!rows.length) block.append(element("p", "mute", "This is the parent itself."));
    block.append(...rows.map(itemDetails));
    return block;
  }));
}

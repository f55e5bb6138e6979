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

function showItems(index) {
  const { model } = page.path[index];
  const parents = [...new Set(page.items.map((row) => row.against))];
  byId("item-lists").replaceChildren(...parents.map((parent) => {
    const rows = page.items.filter((row) => row.model === model && row.against === parent);
    const block = element("div", "", element("h3", "", `${model} against ${parent}`));
    if (!rows.length) block.append(element("p", "mute", "This is the parent itself."));
    for (const row of rows) {
      const opened = element("details", "");
      const counts = [element("b", "lost", `${row.lost.length} lost`), ", ", element("b", "won", `${row.gained.length} gained`), ` of ${row.n}`];
      opened.append(element("summary", "", `${page.metrics[row.key].label}: `, ...counts));
      if (row.lost.length) opened.append(element("b", "lost", "lost"), idList(row.lost, row.key));
      if (row.gained.length) opened.append(element("b", "won", "gained"), idList(row.gained, row.key));
      block.append(opened);
    }
    return block;
  }));
}

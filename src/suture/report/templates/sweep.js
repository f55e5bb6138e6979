// The coefficient curves are drawn without script; here the slider's coefficient is marked on each of them.
function markSweep(index) {
  const { a } = page.path[index];
  for (const drawing of document.querySelectorAll("#sweep svg[data-scale]")) {
    const [first, last, left, right] = drawing.dataset.scale.split(" ").map(Number);
    const x = last > first ? left + ((right - left) * (a - first)) / (last - first) : left;
    const mark = drawing.querySelector(".now");
    mark.setAttribute("d", `M${x.toFixed(1)} 10V212`);
    mark.style.stroke = colourOf(a);
  }
}

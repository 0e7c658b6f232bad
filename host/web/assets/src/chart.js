// Reading values off a chart: a line and a tip follow the pointer. The same
// values are in the table behind the chart for everybody else.
import { at } from "./time.js";

export function watchCharts() {
  document.addEventListener("pointermove", (e) => {
    const svg = e.target.closest?.("svg[data-points]");
    if (svg) show(svg, e.clientX);
  });
  document.addEventListener("pointerout", (e) => {
    const svg = e.target.closest?.("svg[data-points]");
    if (svg && !svg.contains(e.relatedTarget)) hide(svg);
  });
}

function show(svg, clientX) {
  const data = (svg.points ??= JSON.parse(svg.dataset.points));
  const box = svg.getBoundingClientRect();
  const share = Math.min(1, Math.max(0, (clientX - box.left) / box.width));
  const i = nearest(data.x, share);
  if (i < 0) return;
  const line = svg.querySelector(".crosshair");
  line.removeAttribute("visibility");
  line.setAttribute("x1", data.x[i] * 1000);
  line.setAttribute("x2", data.x[i] * 1000);
  place(tip(svg, data, i), svg, data.x[i]);
}

function nearest(xs, share) {
  let best = -1;
  xs.forEach((x, i) => {
    if (best < 0 || Math.abs(x - share) < Math.abs(xs[best] - share)) best = i;
  });
  return best;
}

function tip(svg, data, i) {
  const box = svg.parentElement.querySelector(".tip");
  const lines = [document.createElement("b")];
  lines[0].textContent = at(data.t[i] * 1000);
  for (const s of data.s) {
    const line = document.createElement("div");
    line.textContent = `${s.n}: ${s.v[i] ?? "no data"}`;
    lines.push(line);
  }
  box.replaceChildren(...lines);
  box.hidden = false;
  return box;
}

// place keeps the tip beside the line and inside the plot.
function place(box, svg, share) {
  const left = svg.getBoundingClientRect().left - svg.parentElement.getBoundingClientRect().left;
  const width = svg.clientWidth || svg.getBoundingClientRect().width;
  const x = left + share * width;
  box.style.left = `${share > 0.5 ? x - box.offsetWidth - 10 : x + 10}px`;
}

function hide(svg) {
  svg.querySelector(".crosshair").setAttribute("visibility", "hidden");
  svg.parentElement.querySelector(".tip").hidden = true;
}

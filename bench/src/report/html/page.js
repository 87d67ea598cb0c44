
"use strict";
// Values under the pointer: the curves are read back from their paths, by the axes that each graph carries with it.
const three = v => v === 0 ? "0" : Math.abs(v) >= 100 ? Math.round(v).toLocaleString("en") : String(+v.toPrecision(3));
const unit = (v, base, names) => {
  let n = 0;
  while (Math.abs(v) >= base && n < names.length - 1) { v /= base; n++; }
  return three(v) + " " + names[n];
};
const show = {
  plain: three,
  micros: v => unit(v, 1000, ["µs", "ms", "s"]),
  bytes: v => unit(v, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]),
  tail: v => +(100 - 100 / v).toFixed(4) + " %",
};
const axis = text => {
  const [from, to, low, high, kind, name] = text.split(" ");
  const [a, b, lo, hi] = [+from, +to, +low, +high];
  return pixel => {
    const share = (pixel - a) / (b - a);
    return show[name](kind === "log" ? lo * Math.pow(hi / lo, share) : lo + (hi - lo) * share);
  };
};
for (const svg of document.querySelectorAll("figure svg[data-x]")) {
  const figure = svg.parentElement, x = axis(svg.dataset.x), y = axis(svg.dataset.y), lines = [];
  for (const path of svg.querySelectorAll("path[class^=s]")) {
    const name = path.querySelector("title");
    if (!name) continue;
    const points = [...path.getAttribute("d").matchAll(/[ML]([\d.]+) ([\d.]+)/g)].map(p => [+p[1], +p[2]]);
    if (points.length) lines.push({ name: name.textContent, colour: path.getAttribute("class"), points });
    name.remove();
  }
  const tip = document.createElement("div"), rule = document.createElementNS(svg.namespaceURI, "line");
  const hide = () => { tip.remove(); rule.remove(); };
  tip.className = "tip";
  rule.setAttribute("class", "axis");
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
    const at = (event.clientX - box.left) * scale, [left, right] = svg.dataset.x.split(" ").map(Number);
    if (!lines.length || at < left - 4 || at > right + 4) return hide();
    const near = points => points.reduce((best, p) => Math.abs(p[0] - at) < Math.abs(best[0] - at) ? p : best);
    const found = lines.map(line => ({ ...line, point: near(line.points) }));
    const middle = near(found.map(line => line.point))[0];
    tip.replaceChildren(Object.assign(document.createElement("b"), { textContent: x(middle) }));
    for (const line of found.filter(line => Math.abs(line.point[0] - middle) < 8)) {
      const sign = document.createElement("i");
      sign.className = line.colour;
      tip.append("\n", sign, line.name + "  " + y(line.point[1]));
    }
    const [foot, top] = svg.dataset.y.split(" ");
    for (const [key, value] of [["x1", middle], ["x2", middle], ["y1", foot], ["y2", top]]) rule.setAttribute(key, value);
    svg.append(rule);
    figure.append(tip);
    const beside = event.clientX - figure.getBoundingClientRect().left;
    const over = beside > figure.clientWidth / 2;
    tip.style.left = over ? Math.max(4, beside - tip.offsetWidth - 14) + "px" : beside + 14 + "px";
    tip.style.top = Math.max(4, event.clientY - figure.getBoundingClientRect().top - tip.offsetHeight / 2) + "px";
  });
}
// Paper has nothing to unfold.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(part => { part.open = true; }));

// Small charts as SVG: neck profiles, histograms, scatter plots, curves with envelopes.
const NS = "http://www.w3.org/2000/svg";
function svg(name, attributes, parent, text) {
  const e = document.createElementNS(NS, name);
  for (const k in attributes) e.setAttribute(k, attributes[k]);
  if (text !== undefined) e.textContent = text;
  if (parent) parent.append(e);
  return e;
}
function niceStep(span, count) {
  const raw = span / count, p = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].find((m) => m * p >= raw * 0.999) * p;
}
const tick = (v) => (Math.abs(v) >= 1e5 ? v.toExponential(0) : String(+v.toPrecision(6)));
function axes(W, H, [x0, x1], [y0, y1], xlabel, ylabel, label) {
  const s = svg("svg", { viewBox: `0 0 ${W} ${H}`, width: "100%", style: `max-width:${W}px`, role: "img", "aria-label": label });
  const L = 58, R = 10, T = 10, B = 34;
  const X = (v) => L + ((v - x0) / (x1 - x0)) * (W - L - R), Y = (v) => H - B - ((v - y0) / (y1 - y0)) * (H - T - B);
  const ticks = (low, high, n) => { const d = niceStep(high - low, n), a = []; for (let v = Math.ceil(low / d - 1e-9) * d; v <= high + 1e-9 * d; v += d) a.push(Math.abs(v) < 1e-9 * d ? 0 : v); return a; };
  for (const v of ticks(x0, x1, 5)) { svg("line", { x1: X(v), x2: X(v), y1: H - B, y2: H - B + 4, stroke: "#555" }, s); svg("text", { x: X(v), y: H - B + 16, "text-anchor": "middle" }, s, tick(v)); }
  for (const v of ticks(y0, y1, 4)) { svg("line", { x1: L, x2: W - R, y1: Y(v), y2: Y(v), stroke: "#e4e8ec" }, s); svg("text", { x: L - 6, y: Y(v) + 4, "text-anchor": "end" }, s, tick(v)); }
  svg("text", { x: (L + W - R) / 2, y: H - 3, "text-anchor": "middle" }, s, xlabel);
  svg("text", { x: 12, y: (H - B + T) / 2, transform: `rotate(-90 12 ${(H - B + T) / 2})`, "text-anchor": "middle" }, s, ylabel);
  return { s, X, Y };
}
const path = (xs, ys, X, Y) => xs.map((v, k) => (isNumber(ys[k]) ? `${X(v).toFixed(1)},${Y(ys[k]).toFixed(1)}` : "")).filter(Boolean).join(" ");
function band(xs, low, high, X, Y, parent, fill) {
  const keep = xs.map((_, k) => k).filter((k) => isNumber(low[k]) && isNumber(high[k]));
  if (keep.length < 2) return;
  const there = keep.map((k) => `${X(xs[k])},${Y(low[k])}`), back = keep.map((k) => `${X(xs[k])},${Y(high[k])}`).reverse();
  svg("polygon", { points: [...there, ...back].join(" "), fill, opacity: 0.25 }, parent);
}
function profileChart(i) {
  const p = data.profiles[i], row = data.rows[i], colour = data.colours[row.type];
  const tops = p.d.map((d, k) => Math.min(p.high[k] ?? d ?? 0, 2 * (d ?? 0)));
  const y1 = Math.max(50, ...tops) * 1.05, x1 = Math.max(...p.s, 1);
  const least = p.at ? `, narrowest ${p.at[1].toFixed(0)} nm at ${p.at[0].toFixed(0)} nm from the shaft` : "";
  const { s, X, Y } = axes(360, 240, [0, x1], [0, y1], "distance from the shaft (nm)", "diameter (nm)", `Diameter along spine ${row.spine} with its 95 % interval${least}`);
  const cut = (a) => a.map((v) => (v === null ? null : Math.min(v, y1)));
  band(p.s, p.low, cut(p.high), X, Y, s, colour);
  svg("polyline", { points: path(p.s, cut(p.d), X, Y), fill: "none", stroke: colour, "stroke-width": 2 }, s);
  if (p.border > 0 && p.border < x1) { svg("line", { x1: X(p.border), x2: X(p.border), y1: Y(0), y2: Y(y1), stroke: "#555", "stroke-dasharray": "4 3" }, s); svg("text", { x: X(p.border) + 3, y: 20 }, s, "head"); }
  if (p.at) svg("circle", { cx: X(p.at[0]), cy: Y(p.at[1]), r: 5, fill: "none", stroke: "#000", "stroke-width": 2 }, s);
  return s;
}
function histogram(column, label) {
  const rows = data.rows.filter((r) => isNumber(r[column]));
  if (rows.length < 2) return;
  const x1 = Math.max(...rows.map((r) => r[column])) * 1.05, bins = 12, width = x1 / bins;
  const counts = Array.from({ length: bins }, () => ({}));
  for (const r of rows) { const b = counts[Math.min(bins - 1, Math.floor(r[column] / width))]; b[r.type] = (b[r.type] || 0) + 1; }
  const y1 = Math.max(2, ...counts.map((b) => Object.values(b).reduce((a, c) => a + c, 0)));
  const sorted = rows.map((r) => r[column]).sort((a, b) => a - b);
  const { s, X, Y } = axes(380, 220, [0, x1], [0, y1], label, "spines", `Histogram of ${label}: ${rows.length} spines, median ${sorted[sorted.length >> 1].toFixed(0)}`);
  counts.forEach((b, k) => { let base = 0; for (const t of kinds) { const n = b[t] || 0; if (!n) continue; svg("rect", { x: X(k * width) + 1, width: X(width) - X(0) - 2, y: Y(base + n), height: Y(base) - Y(base + n), fill: data.colours[t] }, s); base += n; } });
  byId("distributions").append(s);
}
// Spines as points of raw numbers; behind them, lightly, the type that the rules give at each place
function scatter(xc, yc) {
  const rows = data.rows.filter((r) => isNumber(r[xc]) && isNumber(r[yc]));
  if (rows.length < 2) return;
  const field = (data.fields || []).find((f) => f.x === xc && f.y === yc);
  const top = (c) => Math.max(...rows.map((r) => r[c])) * 1.08;
  const x1 = field ? field.x_most : top(xc), y1 = field ? field.y_most : top(yc);
  const { s, X, Y } = axes(380, 260, [0, x1], [0, y1], title(xc), title(yc), `${title(yc)} against ${title(xc)} of ${rows.length} spines`);
  if (field) {
    const w = x1 / field.n, h = y1 / field.n, back = svg("g", { opacity: 0.16, "shape-rendering": "crispEdges" });
    for (const [row, from, to, type] of field.runs) svg("rect", { x: X(from * w), width: X(to * w) - X(from * w), y: Y((row + 1) * h), height: Y(row * h) - Y((row + 1) * h) + 0.3, fill: data.colours[type] }, back);
    s.prepend(back);
  }
  const low = "neck_diameter_low_nm", high = "neck_diameter_high_nm", neck = "neck_diameter_nm";
  for (const r of rows) {
    if ((xc === neck || yc === neck) && isNumber(r[low]) && isNumber(r[high])) {
      const at = xc === neck ? { x1: X(r[low]), x2: X(Math.min(r[high], x1)), y1: Y(r[yc]), y2: Y(r[yc]) } : { x1: X(r[xc]), x2: X(r[xc]), y1: Y(r[low]), y2: Y(Math.min(r[high], y1)) };
      svg("line", { ...at, stroke: data.colours[r.type], "stroke-width": 1.5, opacity: 0.7 }, s);
    }
  }
  for (const r of rows) { const c = svg("circle", { cx: X(r[xc]), cy: Y(r[yc]), r: 5, fill: data.colours[r.type], stroke: "#fff", style: "cursor:pointer" }, s); svg("title", {}, c, `spine ${r.spine}: ${r.type}`); c.addEventListener("click", () => pick(data.rows.indexOf(r))); }
  const figure = element("figure", null, byId("continuum"));
  figure.append(s);
  if (field) element("figcaption", `fields: rules "${field.preset}"${field.said ? ` at ${field.said}` : ""}`, figure, { class: "hint" });
}
function curveChart(c) {
  const all = [...c.values, ...(c.theory || []), ...(c.low || []), ...(c.high || [])].filter(isNumber);
  if (all.length < 2) return null;
  const y0 = Math.min(0, ...all), y1 = Math.max(...all), x1 = Math.max(...c.x);
  const { s, X, Y } = axes(400, 250, [0, x1], [y0, y1 + 0.05 * (y1 - y0 || 1)], c.xlabel, c.ylabel, `${c.title}: ${c.ylabel} from ${tick(c.x[0])} to ${tick(x1)} nm`);
  if (c.low && c.high) band(c.x, c.low, c.high, X, Y, s, "#56606a");
  if (c.theory) svg("polyline", { points: path(c.x, c.theory, X, Y), fill: "none", stroke: "#b3261e", "stroke-width": 1.5, "stroke-dasharray": "5 4" }, s);
  if (c.bars) c.x.forEach((v, k) => isNumber(c.values[k]) && svg("rect", { x: X(c.from[k]) + 0.5, width: Math.max(X(c.to[k]) - X(c.from[k]) - 1, 1), y: Math.min(Y(c.values[k]), Y(0)), height: Math.abs(Y(0) - Y(c.values[k])), fill: c.marked && c.marked[k] ? "#1f5fc4" : "#a9bcdc" }, s));
  else svg("polyline", { points: path(c.x, c.values, X, Y), fill: "none", stroke: "#1f5fc4", "stroke-width": 2 }, s);
  return s;
}
histogram("neck_diameter_nm", "neck diameter (nm)");
histogram("head_diameter_nm", "head diameter (nm)");
histogram("length_nm", "length (nm)");
scatter("neck_diameter_nm", "head_diameter_nm");
scatter("length_nm", "head_diameter_nm");
scatter("neck_length_nm", "neck_diameter_nm");
if (!byId("continuum").children.length) byId("continuum").textContent = "Too few spines.";
if (!byId("distributions").children.length) byId("distributions").textContent = "Too few spines to draw distributions.";
for (const [k, c] of (data.curves || []).entries()) { const s = curveChart(c); if (s) byId(`curve-${k}`).prepend(s); }

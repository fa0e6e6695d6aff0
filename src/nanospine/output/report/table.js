// The table of spines: sort, filter by words, conditions and types, pick, save.
const table = byId("spines");
let order = data.rows.map((_, i) => i), sortedBy = "", down = false;
const types = new Set(kinds);
// "neck < 150" and "length>=800" compare the first column whose title begins so; other words must occur
function condition(text) {
  const m = /^([a-z_ ]+?)\s*(<=|>=|<|>|=)\s*(-?[\d.]+)$/i.exec(text.trim());
  if (!m) return null;
  const name = m[1].toLowerCase().replace(/_/g, " ");
  const c = data.columns.find((k) => title(k).toLowerCase().startsWith(name));
  if (!c) return null;
  const limit = parseFloat(m[3]), number = (r) => (isNumber(r[c]) ? parseFloat(shown(c, r[c])) : NaN);
  return { "<": (r) => number(r) < limit, ">": (r) => number(r) > limit, "<=": (r) => number(r) <= limit, ">=": (r) => number(r) >= limit, "=": (r) => number(r) === limit }[m[2]];
}
function matcher(text) {
  const tests = text.split(/\band\b|,|;/i).map((part) => part.trim()).filter(Boolean).map((part) => {
    const test = condition(part);
    if (test) return test;
    const words = part.toLowerCase().split(/\s+/);
    return (r) => words.every((w) => `${r.spine} ${r.type} ${r.note}`.toLowerCase().includes(w));
  });
  return (r) => types.has(r.type) && tests.every((test) => test(r));
}
function cell(row, c) {
  const td = document.createElement("td");
  if (c === "type") dot(row.type, td);
  td.append(shown(c, row[c]));
  if (isNumber(row[c])) td.className = "number";
  return td;
}
function fillTable() {
  const wanted = matcher(byId("filter").value), body = table.tBodies[0];
  body.textContent = "";
  for (const i of order) {
    const row = data.rows[i];
    if (!wanted(row)) continue;
    const tr = element("tr", null, body, { tabindex: 0 });
    tr.dataset.spine = row.spine;
    if (i === picked) { tr.className = "picked"; tr.setAttribute("aria-selected", "true"); }
    for (const c of data.columns) tr.append(cell(row, c));
    tr.addEventListener("click", () => pick(i));
    tr.addEventListener("keydown", (e) => {
      if (e.key === "Enter" || e.key === " ") { e.preventDefault(); pick(i); const now = table.querySelector("tr.picked"); if (now) now.focus(); }
      if (e.key === "ArrowDown" && tr.nextSibling) { e.preventDefault(); tr.nextSibling.focus(); }
      if (e.key === "ArrowUp" && tr.previousSibling) { e.preventDefault(); tr.previousSibling.focus(); }
    });
  }
  byId("shown").textContent = data.rows.length ? `${body.rows.length} of ${data.rows.length} spines` : "";
  if (!data.rows.length) element("td", "No spine was found.", element("tr", null, body), { colspan: data.columns.length });
}
function sortBy(c) {
  down = sortedBy === c ? !down : false; sortedBy = c;
  order.sort((a, b) => {
    const x = data.rows[a][c], y = data.rows[b][c];
    if (!isNumber(x) && isNumber(y)) return 1;
    if (isNumber(x) && !isNumber(y)) return -1;
    const d = isNumber(x) ? x - y : String(x).localeCompare(String(y));
    return down ? -d : d;
  });
  for (const th of table.tHead.rows[0].cells) {
    const here = th.dataset.column === c;
    th.setAttribute("aria-sort", here ? (down ? "descending" : "ascending") : "none");
    th.firstChild.textContent = title(th.dataset.column) + (here ? (down ? " ▼" : " ▲") : "");
  }
  fillTable();
}
const heads = element("tr", null, table.tHead);
for (const c of data.columns) {
  const th = element("th", null, heads, { scope: "col", title: data.explained[c] || "" });
  th.dataset.column = c;
  element("button", title(c), th, { type: "button" }).addEventListener("click", () => sortBy(c));
}
byId("filter").addEventListener("input", fillTable);
for (const t of kinds) {
  const label = element("label", null, byId("types"));
  const box = element("input", null, label, { type: "checkbox" });
  box.checked = true;
  box.addEventListener("input", () => { if (box.checked) types.add(t); else types.delete(t); fillTable(); });
  dot(t, label); label.append(t + " ");
}
function csv() {
  // A cell that begins like a formula is one for spreadsheets; a quote in front disarms it.
  const safe = (v) => { let t = v === null || v === "nan" ? "" : String(v); if (/^[=+@]/.test(t)) t = "'" + t; return /[",\n]/.test(t) ? '"' + t.replace(/"/g, '""') + '"' : t; };
  const wanted = matcher(byId("filter").value), rows = order.map((i) => data.rows[i]).filter(wanted);
  return [data.all_columns.join(","), ...rows.map((r) => data.all_columns.map((c) => safe(r[c])).join(","))].join("\n") + "\n";
}
byId("save").addEventListener("click", () => {
  const a = document.createElement("a");
  a.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  a.download = "spines.csv"; a.click(); URL.revokeObjectURL(a.href);
});
function pick(i) {
  picked = i;
  fillTable();
  const tr = table.querySelector("tr.picked");
  if (tr) { const box = table.parentElement; box.scrollTop = Math.max(0, tr.offsetTop - box.clientHeight / 2); }
  const side = byId("detail");
  side.textContent = "";
  if (i < 0) return draw();
  const row = data.rows[i];
  const head = element("h3", null, side);
  dot(row.type, head); head.append(`spine ${row.spine}: ${row.type}`);
  const low = row.neck_diameter_low_nm, high = row.neck_diameter_high_nm;
  const interval = isNumber(low) && isNumber(high) ? ` (95 %: ${low.toFixed(0)} to ${high.toFixed(0)})` : "";
  const rest = `head ${shown("head_diameter_nm", row.head_diameter_nm)} nm, length ${shown("length_nm", row.length_nm)} nm`;
  element("p", (isNumber(row.neck_diameter_nm) ? `neck ${row.neck_diameter_nm.toFixed(0)} nm${interval}, ` : "neck not measured; ") + rest, side);
  side.append(profileChart(i));
  if (data.pictures && data.pictures[i]) element("img", null, side, { src: data.pictures[i], width: 260, height: 260, alt: `Spine ${row.spine}, ${row.type}, upright on its shaft, the constriction of its neck marked with a ring` });
  if (row.note && row.note !== "nan") element("p", row.note, side);
  const list = element("dl", null, side);
  for (const c of data.all_columns) if (c !== "note" && c !== "spine") { element("dt", title(c), list); element("dd", shown(c, row[c]), list); }
  draw();
}
fillTable();

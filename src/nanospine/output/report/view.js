"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const units = { neck_diameter_low_nm: "neck low (nm)", neck_diameter_high_nm: "neck high (nm)", n_localizations: "localizations", volume_nm3: "volume (µm³)" };
  const title = (c) => units[c] || c.replace(/_nm$/, " (nm)").replace(/_/g, " ");
  const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255);
  const isNumber = (v) => typeof v === "number" && isFinite(v);
  let picked = -1;

  // ---- table -------------------------------------------------------------------------------
  const table = byId("spines");
  let order = data.rows.map((_, i) => i), sortedBy = "", down = false;
  const shown = (c, v) => {
    if (!isNumber(v)) return v === null || v === "nan" ? "–" : String(v);
    if (c === "volume_nm3") return (v / 1e9).toFixed(4);
    if (c === "quality") return v.toFixed(2);
    return c.endsWith("_nm") ? v.toFixed(0) : String(v);
  };
  function cell(row, c) {
    const td = document.createElement("td");
    if (c === "type") {
      const dot = document.createElement("i");
      dot.className = "dot"; dot.style.background = data.colours[row.type];
      td.append(dot);
    }
    td.append(shown(c, row[c]));
    if (isNumber(row[c])) td.className = "number";
    return td;
  }
  function fillTable() {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const body = table.tBodies[0];
    body.textContent = "";
    for (const i of order) {
      const row = data.rows[i];
      const text = `${row.spine} ${row.type} ${row.note}`.toLowerCase();
      if (!words.every((w) => text.includes(w))) continue;
      const tr = document.createElement("tr");
      tr.tabIndex = 0; tr.dataset.spine = row.spine;
      if (row.spine === picked) tr.className = "picked";
      for (const c of data.columns) tr.append(cell(row, c));
      tr.addEventListener("click", () => pick(row.spine));
      tr.addEventListener("keydown", (e) => { if (e.key === "Enter") pick(row.spine); });
      body.append(tr);
    }
    if (!data.rows.length) {
      const td = document.createElement("td");
      td.textContent = "No spine was found.";
      const tr = document.createElement("tr"); tr.append(td); body.append(tr);
    }
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
    for (const th of table.tHead.rows[0].cells) th.setAttribute("aria-sort", th.dataset.column === c ? (down ? "descending" : "ascending") : "none");
    fillTable();
  }
  const head = document.createElement("tr");
  for (const c of data.columns) {
    const th = document.createElement("th");
    th.textContent = title(c); th.tabIndex = 0; th.scope = "col"; th.dataset.column = c;
    th.addEventListener("click", () => sortBy(c));
    th.addEventListener("keydown", (e) => { if (e.key === "Enter") sortBy(c); });
    head.append(th);
  }
  table.tHead.append(head);
  byId("filter").addEventListener("input", fillTable);
  byId("save").addEventListener("click", () => {
    // A cell that begins like a formula is one for spreadsheets; a quote in front disarms it.
    const safe = (v) => { let t = v === null || v === "nan" ? "" : String(v); if (/^[=+@]/.test(t)) t = "'" + t; return /[",\n]/.test(t) ? '"' + t.replace(/"/g, '""') + '"' : t; };
    const lines = [data.columns.join(","), ...data.rows.map((r) => data.columns.map((c) => safe(r[c])).join(","))];
    const a = document.createElement("a");
    a.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
    a.download = "spines.csv"; a.click(); URL.revokeObjectURL(a.href);
  });

  // ---- small charts ------------------------------------------------------------------------
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
    return [1, 2, 5, 10].find((m) => m * p >= raw) * p;
  }
  function axes(W, H, x1, y1, xlabel, ylabel, label) {
    const s = svg("svg", { viewBox: `0 0 ${W} ${H}`, width: "100%", style: `max-width:${W}px`, role: "img", "aria-label": label });
    const L = 46, R = 8, T = 10, B = 34;
    const X = (v) => L + (v / x1) * (W - L - R), Y = (v) => H - B - (v / y1) * (H - T - B);
    for (let v = 0, d = niceStep(x1, 5); v <= x1 * 1.0001; v += d) { svg("line", { x1: X(v), x2: X(v), y1: H - B, y2: H - B + 4, stroke: "#555" }, s); svg("text", { x: X(v), y: H - B + 16, "text-anchor": "middle" }, s, +v.toFixed(3)); }
    for (let v = 0, d = niceStep(y1, 4); v <= y1 * 1.0001; v += d) { svg("line", { x1: L, x2: W - R, y1: Y(v), y2: Y(v), stroke: "#e4e8ec" }, s); svg("text", { x: L - 6, y: Y(v) + 4, "text-anchor": "end" }, s, +v.toFixed(3)); }
    svg("text", { x: (L + W - R) / 2, y: H - 3, "text-anchor": "middle" }, s, xlabel);
    svg("text", { x: 12, y: (H - B + T) / 2, transform: `rotate(-90 12 ${(H - B + T) / 2})`, "text-anchor": "middle" }, s, ylabel);
    return { s, X, Y };
  }
  function profileChart(i) {
    const p = data.profiles[i], colour = data.colours[data.rows[i].type];
    const tops = p.d.map((d, k) => Math.min(p.high[k] ?? d ?? 0, 2 * (d ?? 0)));
    const y1 = Math.max(50, ...tops) * 1.05, x1 = Math.max(...p.s, 1);
    const { s, X, Y } = axes(360, 240, x1, y1, "distance from the shaft (nm)", "diameter (nm)", `Diameter along spine ${i}`);
    let band = [], back = [];
    p.s.forEach((v, k) => { if (p.low[k] !== null && p.high[k] !== null) { band.push(`${X(v)},${Y(p.low[k])}`); back.push(`${X(v)},${Y(Math.min(p.high[k], y1))}`); } });
    if (band.length) svg("polygon", { points: [...band, ...back.reverse()].join(" "), fill: colour, opacity: 0.25 }, s);
    svg("polyline", { points: p.s.map((v, k) => (p.d[k] === null ? "" : `${X(v)},${Y(Math.min(p.d[k], y1))}`)).filter(Boolean).join(" "), fill: "none", stroke: colour, "stroke-width": 2 }, s);
    if (p.border > 0 && p.border < x1) { svg("line", { x1: X(p.border), x2: X(p.border), y1: Y(0), y2: Y(y1), stroke: "#555", "stroke-dasharray": "4 3" }, s); }
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
    const { s, X, Y } = axes(380, 220, x1, y1, label, "spines", `Histogram of ${label}`);
    counts.forEach((b, k) => { let base = 0; for (const t in data.colours) { const n = b[t] || 0; if (!n) continue; svg("rect", { x: X(k * width) + 1, width: X(width) - X(0) - 2, y: Y(base + n), height: Y(base) - Y(base + n), fill: data.colours[t] }, s); base += n; } });
    byId("distributions").append(s);
  }
  histogram("neck_diameter_nm", "neck diameter (nm)");
  histogram("head_diameter_nm", "head diameter (nm)");
  histogram("length_nm", "length (nm)");
  if (!byId("distributions").children.length) byId("distributions").textContent = "Too few spines to draw distributions.";

  // ---- picking -----------------------------------------------------------------------------
  function pick(i) {
    picked = i;
    fillTable();
    const tr = table.querySelector("tr.picked");
    if (tr) tr.scrollIntoView({ block: "nearest" });
    const box = byId("detail");
    box.textContent = "";
    if (i < 0) return draw();
    const row = data.rows[i], h = document.createElement("h3");
    h.textContent = `spine ${row.spine}: ${row.type}`;
    const low = row.neck_diameter_low_nm, high = row.neck_diameter_high_nm;
    const interval = isNumber(low) && isNumber(high) ? ` (95 %: ${low.toFixed(0)} to ${high.toFixed(0)})` : "";
    const p = document.createElement("p");
    p.textContent = isNumber(row.neck_diameter_nm) ? `neck ${row.neck_diameter_nm.toFixed(0)} nm${interval}, head ${shown("head_diameter_nm", row.head_diameter_nm)} nm, length ${row.length_nm.toFixed(0)} nm` : `neck not measured; head ${shown("head_diameter_nm", row.head_diameter_nm)} nm, length ${row.length_nm.toFixed(0)} nm`;
    box.append(h, p, profileChart(i));
    if (row.note) { const n = document.createElement("p"); n.textContent = row.note; box.append(n); }
    draw();
  }
  fillTable();
  for (const t in data.colours) { const i = document.createElement("i"); i.style.background = data.colours[t]; byId("legend").append(i, t + " "); }

  // ---- 3-D view ----------------------------------------------------------------------------
  let draw = () => {};
  const canvas = byId("view");
  const gl = canvas.getContext("webgl", { antialias: true, alpha: false }) || canvas.getContext("experimental-webgl");
  if (!gl || !gl.getExtension("OES_element_index_uint")) {
    const note = document.createElement("p");
    note.textContent = "This browser shows no 3-D graphics; the overview below holds the same picture.";
    canvas.replaceWith(note);
    return;
  }
  const bytes = (t) => Uint8Array.from(atob(t), (c) => c.charCodeAt(0)).buffer;
  const unpack = (o, k) => { const q = new Uint16Array(bytes(o[k])), f = new Float32Array(q.length); for (let i = 0; i < q.length; i++) f[i] = o.low[i % 3] + (q[i] / 65535) * o.span[i % 3] - data.centre[i % 3]; return f; };
  const mesh = { xyz: unpack(data.mesh, "vertices"), faces: new Uint32Array(bytes(data.mesh.faces)), labels: new Int16Array(bytes(data.mesh.labels)) };
  const points = { xyz: unpack(data.points, "positions"), labels: new Int16Array(bytes(data.points.labels)) };
  const size = Math.max(...data.mesh.span);
  function normals() {
    const n = new Float32Array(mesh.xyz.length), x = mesh.xyz, f = mesh.faces;
    for (let t = 0; t < f.length; t += 3) {
      const a = 3 * f[t], b = 3 * f[t + 1], c = 3 * f[t + 2];
      const ux = x[b] - x[a], uy = x[b + 1] - x[a + 1], uz = x[b + 2] - x[a + 2], vx = x[c] - x[a], vy = x[c + 1] - x[a + 1], vz = x[c + 2] - x[a + 2];
      const nx = uy * vz - uz * vy, ny = uz * vx - ux * vz, nz = ux * vy - uy * vx;
      for (const i of [a, b, c]) { n[i] += nx; n[i + 1] += ny; n[i + 2] += nz; }
    }
    return n;
  }
  const colourOf = (l) => rgb(l >= 0 ? data.colours[data.rows[l].type] : l === -1 ? data.colours.shaft : "#cfd4d9");
  const colours = (labels) => { const c = new Float32Array(3 * labels.length), known = new Map(); labels.forEach((l, i) => { if (!known.has(l)) known.set(l, colourOf(l)); c.set(known.get(l), 3 * i); }); return c; };
  function program(vertex, fragment) {
    const p = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) { const s = gl.createShader(kind); gl.shaderSource(s, source); gl.compileShader(s); if (!gl.getShaderParameter(s, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(s)); gl.attachShader(p, s); }
    gl.linkProgram(p);
    return p;
  }
  const common = "attribute vec3 xyz; uniform mat3 turn; uniform vec2 scale; uniform vec2 shift; uniform float reach; vec4 place(){ vec3 q = turn * xyz; return vec4(q.xy * scale + shift, -q.z / reach, 1.0); }";
  const solid = program(common + "attribute vec3 normal; attribute vec3 colour; attribute float label; uniform float chosen; varying vec3 n; varying vec3 c; varying float shaft; varying float z; void main(){ gl_Position = place(); n = turn * normal; c = abs(label - chosen) < 0.5 ? mix(colour, vec3(1.0, 1.0, 0.6), 0.45) : colour; shaft = label < -0.5 ? 1.0 : 0.0; z = gl_Position.z; }",
    "precision mediump float; varying vec3 n; varying vec3 c; varying float shaft; varying float z; uniform float opacity; void main(){ vec3 m = normalize(n); float d = max(dot(m, normalize(vec3(-0.4, 0.55, 0.75))), 0.0); float s = pow(max(dot(m, normalize(vec3(-0.2, 0.28, 0.94))), 0.0), 30.0); float cue = 0.92 - 0.3 * z; gl_FragColor = vec4(c * (0.35 + 0.75 * d) * cue + 0.12 * s, mix(1.0, opacity, shaft)); }");
  const dots = program(common + "attribute vec3 colour; varying vec3 c; uniform float dot; void main(){ gl_Position = place(); gl_PointSize = dot; c = colour; }", "precision mediump float; varying vec3 c; void main(){ gl_FragColor = vec4(c * 0.8, 1.0); }");
  const ids = program(common + "attribute float label; varying float l; void main(){ gl_Position = place(); l = label; }", "precision highp float; varying float l; void main(){ float v = floor(l + 2.5); gl_FragColor = vec4(mod(v, 256.0) / 255.0, floor(v / 256.0) / 255.0, 0.0, 1.0); }");
  const buffer = (a, kind = gl.ARRAY_BUFFER) => { const b = gl.createBuffer(); gl.bindBuffer(kind, b); gl.bufferData(kind, a, gl.STATIC_DRAW); return b; };
  const B = { xyz: buffer(mesh.xyz), normal: buffer(normals()), colour: buffer(colours(mesh.labels)), label: buffer(Float32Array.from(mesh.labels)), faces: buffer(mesh.faces, gl.ELEMENT_ARRAY_BUFFER), pxyz: buffer(points.xyz), pcolour: buffer(colours(points.labels)) };
  const wide = data.mesh.span[0] >= data.mesh.span[1];
  const start = wide ? [1, 0, 0, 0, 1, 0, 0, 0, 1] : [0, -1, 0, 1, 0, 0, 0, 0, 1];
  let turn = start.slice(), zoom = 0.95, shift = [0, 0];
  const multiply = (a, b) => { const r = new Array(9).fill(0); for (let c = 0; c < 3; c++) for (let i = 0; i < 3; i++) for (let k = 0; k < 3; k++) r[3 * c + i] += a[3 * k + i] * b[3 * c + k]; return r; };
  const around = (ax, t) => { const c = Math.cos(t), s = Math.sin(t); return ax === "x" ? [1, 0, 0, 0, c, s, 0, -s, c] : [c, 0, -s, 0, 1, 0, s, 0, c]; };
  function attribute(p, name, b, n) { const at = gl.getAttribLocation(p, name); if (at < 0) return; gl.bindBuffer(gl.ARRAY_BUFFER, b); gl.enableVertexAttribArray(at); gl.vertexAttribPointer(at, n, gl.FLOAT, false, 0, 0); }
  function use(p) {
    gl.useProgram(p);
    for (let i = 0; i < 4; i++) gl.disableVertexAttribArray(i);
    const ratio = canvas.width / canvas.height, s = (2 * zoom) / size;
    const scale = [s, s * ratio];
    gl.uniformMatrix3fv(gl.getUniformLocation(p, "turn"), false, turn);
    gl.uniform2fv(gl.getUniformLocation(p, "scale"), scale);
    gl.uniform2fv(gl.getUniformLocation(p, "shift"), shift);
    gl.uniform1f(gl.getUniformLocation(p, "reach"), size);
  }
  function scene(p) { use(p); attribute(p, "xyz", B.xyz, 3); attribute(p, "normal", B.normal, 3); attribute(p, "colour", B.colour, 3); attribute(p, "label", B.label, 1); gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, B.faces); }
  draw = () => {
    const ratio = window.devicePixelRatio || 1, w = Math.round(canvas.clientWidth * ratio), h = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    gl.viewport(0, 0, w, h); gl.clearColor(0.97, 0.975, 0.98, 1); gl.enable(gl.DEPTH_TEST); gl.disable(gl.BLEND);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (byId("show-points").checked && points.labels.length) { use(dots); attribute(dots, "xyz", B.pxyz, 3); attribute(dots, "colour", B.pcolour, 3); gl.uniform1f(gl.getUniformLocation(dots, "dot"), 2 * ratio); gl.drawArrays(gl.POINTS, 0, points.labels.length); }
    if (byId("show-mesh").checked) {
      const opacity = parseFloat(byId("opacity").value);
      scene(solid);
      gl.uniform1f(gl.getUniformLocation(solid, "chosen"), picked >= 0 ? picked : -99);
      gl.uniform1f(gl.getUniformLocation(solid, "opacity"), opacity);
      if (opacity < 1) { gl.enable(gl.BLEND); gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA); }
      gl.drawElements(gl.TRIANGLES, mesh.faces.length, gl.UNSIGNED_INT, 0);
    }
  };
  function spineAt(x, y) {
    gl.disable(gl.BLEND); gl.clearColor(0, 0, 0, 1); gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    scene(ids); gl.drawElements(gl.TRIANGLES, mesh.faces.length, gl.UNSIGNED_INT, 0);
    const px = new Uint8Array(4), ratio = canvas.width / canvas.clientWidth;
    gl.readPixels(Math.round(x * ratio), canvas.height - Math.round(y * ratio), 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, px);
    draw();
    return px[0] + 256 * px[1] - 2;
  }
  let from = null, moved = 0;
  canvas.addEventListener("pointerdown", (e) => { from = [e.clientX, e.clientY]; moved = 0; canvas.setPointerCapture(e.pointerId); canvas.focus(); });
  canvas.addEventListener("pointermove", (e) => {
    if (!from) return;
    const dx = e.clientX - from[0], dy = e.clientY - from[1];
    from = [e.clientX, e.clientY]; moved += Math.abs(dx) + Math.abs(dy);
    if (e.shiftKey || e.buttons === 2) { shift[0] += (2 * dx) / canvas.clientWidth; shift[1] -= (2 * dy) / canvas.clientHeight; }
    else turn = multiply(multiply(around("y", dx * 0.01), around("x", dy * 0.01)), turn);
    draw();
  });
  canvas.addEventListener("pointerup", (e) => { from = null; if (moved < 4) { const r = canvas.getBoundingClientRect(); const i = spineAt(e.clientX - r.left, e.clientY - r.top); if (i >= 0 && i < data.rows.length) pick(i); } });
  canvas.addEventListener("contextmenu", (e) => e.preventDefault());
  canvas.addEventListener("wheel", (e) => { e.preventDefault(); zoom *= Math.exp(-e.deltaY * 0.001); draw(); }, { passive: false });
  canvas.addEventListener("keydown", (e) => {
    const step = { ArrowLeft: ["y", -0.1], ArrowRight: ["y", 0.1], ArrowUp: ["x", -0.1], ArrowDown: ["x", 0.1] }[e.key];
    if (step) turn = multiply(around(...step), turn);
    else if (e.key === "+" || e.key === "=") zoom *= 1.15;
    else if (e.key === "-") zoom /= 1.15;
    else return;
    e.preventDefault(); draw();
  });
  byId("reset").addEventListener("click", () => { turn = start.slice(); zoom = 0.95; shift = [0, 0]; draw(); });
  for (const id of ["show-mesh", "show-points", "opacity"]) byId(id).addEventListener("input", draw);
  window.addEventListener("resize", draw);
  draw();
  window.nanospine = { spineAt, pick, picked: () => picked };
})();

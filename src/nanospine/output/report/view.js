// The 3-D view: surface, necks and localizations in WebGL; turn, zoom, move, pick.
if (data.rows.length) for (const t of kinds) { dot(t, byId("legend")); byId("legend").append(t + " "); }
dot("shaft", byId("legend")); byId("legend").append(data.rows.length ? "shaft" : "surface");
const canvas = byId("view");
const gl = canvas.getContext("webgl", { antialias: true, alpha: false, preserveDrawingBuffer: true });
window.nanospine = { pick, csv, picked: () => picked };
if (!gl || !gl.getExtension("OES_element_index_uint")) {
  const note = element("p", "This browser shows no 3-D graphics; the overview below holds the same picture.", null);
  byId("scale").remove();
  canvas.replaceWith(note);
} else startView();

function startView() {
  const bytes = (t) => Uint8Array.from(atob(t), (c) => c.charCodeAt(0)).buffer;
  const unpack = (o, k) => { const q = new Uint16Array(bytes(o[k])), f = new Float32Array(q.length); for (let i = 0; i < q.length; i++) f[i] = o.low[i % 3] + (q[i] / 65535) * o.span[i % 3] - data.centre[i % 3]; return f; };
  const mesh = { xyz: unpack(data.mesh, "vertices"), faces: new Uint32Array(bytes(data.mesh.faces)), labels: new Int16Array(bytes(data.mesh.labels)) };
  const points = { xyz: unpack(data.points, "positions"), labels: new Int16Array(bytes(data.points.labels)) };
  const size = Math.max(...data.mesh.span);
  // Spines first: they are solid, and what is translucent is laid over them
  const nSpine = (() => {
    const f = mesh.faces, n = f.length / 3, first = [], rest = [];
    for (let t = 0; t < n; t++) (mesh.labels[f[3 * t]] >= 0 ? first : rest).push(t);
    mesh.faces = Uint32Array.from([...first, ...rest].flatMap((t) => [f[3 * t], f[3 * t + 1], f[3 * t + 2]]));
    return 3 * first.length;
  })();
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
  const typeOf = new Map(data.rows.map((r) => [r.spine, r.type]));
  const colourOf = (l) => rgb(typeOf.has(l) ? data.colours[typeOf.get(l)] : l === -1 ? data.colours.shaft : "#b3bac1");
  const colours = (labels) => { const c = new Float32Array(3 * labels.length), known = new Map(); labels.forEach((l, i) => { if (!known.has(l)) known.set(l, colourOf(l)); c.set(known.get(l), 3 * i); }); return c; };
  const depths = (xyz) => { const c = new Float32Array(xyz.length), s = data.points.span[2] || 1, z0 = data.points.low[2] - data.centre[2]; for (let i = 0; i < xyz.length; i += 3) { const t = (xyz[i + 2] - z0) / s; c[i] = Math.min(1, Math.max(0, 1.5 - Math.abs(4 * t - 3))); c[i + 1] = Math.min(1, Math.max(0, 1.5 - Math.abs(4 * t - 2))); c[i + 2] = Math.min(1, Math.max(0, 1.5 - Math.abs(4 * t - 1))); } return c; };
  const ringLines = (() => { const a = []; for (const ring of data.rings || []) if (ring) for (let k = 0; k + 1 < ring.length; k++) for (const q of [ring[k], ring[k + 1]]) for (let j = 0; j < 3; j++) a.push(q[j] - data.centre[j]); return Float32Array.from(a); })();
  function program(vertex, fragment) {
    const p = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) { const s = gl.createShader(kind); gl.shaderSource(s, source); gl.compileShader(s); if (!gl.getShaderParameter(s, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(s)); gl.attachShader(p, s); }
    gl.linkProgram(p);
    return p;
  }
  const common = "attribute vec3 xyz; uniform mat3 turn; uniform vec2 scale; uniform vec2 shift; uniform float reach; uniform float nearer; vec4 place(){ vec3 q = turn * xyz; return vec4(q.xy * scale + shift, -q.z / reach - nearer, 1.0); }";
  const solid = program(common + "attribute vec3 normal; attribute vec3 colour; attribute float label; uniform float chosen; varying vec3 n; varying vec3 c; varying float z; void main(){ gl_Position = place(); n = turn * normal; c = abs(label - chosen) < 0.5 ? mix(colour, vec3(1.0, 1.0, 0.6), 0.45) : colour; z = gl_Position.z; }",
    "precision mediump float; varying vec3 n; varying vec3 c; varying float z; uniform float opacity; void main(){ vec3 m = normalize(n); if (m.z < 0.0) m = -m; float d = max(dot(m, normalize(vec3(-0.4, 0.55, 0.75))) + 0.3, 0.0) / 1.3; float s = pow(max(dot(m, normalize(vec3(-0.2, 0.28, 0.94))), 0.0), 30.0); float cue = 0.92 - 0.3 * z; float rim = 1.0 - 0.35 * pow(1.0 - m.z, 3.0); float a = opacity + (1.0 - opacity) * 0.6 * pow(1.0 - m.z, 2.0); gl_FragColor = vec4(c * (0.48 + 0.62 * d) * cue * rim + 0.12 * s, a); }");
  const dots = program(common + "attribute vec3 colour; varying vec3 c; uniform float dot; void main(){ gl_Position = place(); gl_PointSize = dot; c = colour; }", "precision mediump float; varying vec3 c; void main(){ gl_FragColor = vec4(c * 0.8, 1.0); }");
  const ids = program(common + "attribute float label; varying float l; void main(){ gl_Position = place(); l = label; }", "precision highp float; varying float l; void main(){ float v = floor(l + 2.5); gl_FragColor = vec4(mod(v, 256.0) / 255.0, floor(v / 256.0) / 255.0, 0.0, 1.0); }");
  const buffer = (a, kind = gl.ARRAY_BUFFER) => { const b = gl.createBuffer(); gl.bindBuffer(kind, b); gl.bufferData(kind, a, gl.STATIC_DRAW); return b; };
  const B = { xyz: buffer(mesh.xyz), normal: buffer(normals()), colour: buffer(colours(mesh.labels)), label: buffer(Float32Array.from(mesh.labels)), faces: buffer(mesh.faces, gl.ELEMENT_ARRAY_BUFFER), pxyz: buffer(points.xyz), ptype: buffer(colours(points.labels)), pdepth: buffer(depths(points.xyz)), rings: buffer(ringLines), black: buffer(new Float32Array(ringLines.length)) };
  const wide = data.mesh.span[0] >= data.mesh.span[1];
  const views = { top: wide ? [1, 0, 0, 0, 1, 0, 0, 0, 1] : [0, -1, 0, 1, 0, 0, 0, 0, 1], side: wide ? [1, 0, 0, 0, 0, -1, 0, 1, 0] : [0, 0, 1, 1, 0, 0, 0, 1, 0], end: wide ? [0, 0, 1, 1, 0, 0, 0, 1, 0] : [1, 0, 0, 0, 0, -1, 0, 1, 0] };
  let turn = views.top.slice(), zoom = 0.95, shift = [0, 0];
  const multiply = (a, b) => { const r = new Array(9).fill(0); for (let c = 0; c < 3; c++) for (let i = 0; i < 3; i++) for (let k = 0; k < 3; k++) r[3 * c + i] += a[3 * k + i] * b[3 * c + k]; return r; };
  const around = (ax, t) => { const c = Math.cos(t), s = Math.sin(t); return ax === "x" ? [1, 0, 0, 0, c, s, 0, -s, c] : [c, 0, -s, 0, 1, 0, s, 0, c]; };
  function attribute(p, name, b, n) { const at = gl.getAttribLocation(p, name); if (at < 0) return; gl.bindBuffer(gl.ARRAY_BUFFER, b); gl.enableVertexAttribArray(at); gl.vertexAttribPointer(at, n, gl.FLOAT, false, 0, 0); }
  const uniform = (p, name) => gl.getUniformLocation(p, name);
  function use(p, nearer = 0) {
    gl.useProgram(p);
    for (let i = 0; i < 4; i++) gl.disableVertexAttribArray(i);
    const s = (2 * zoom) / size;
    gl.uniformMatrix3fv(uniform(p, "turn"), false, turn);
    gl.uniform2fv(uniform(p, "scale"), [s, (s * canvas.width) / canvas.height]);
    gl.uniform2fv(uniform(p, "shift"), shift);
    gl.uniform1f(uniform(p, "reach"), size * Math.max(1, zoom * 0.5 + 0.5));
    gl.uniform1f(uniform(p, "nearer"), nearer);
  }
  function scene(p) { use(p); attribute(p, "xyz", B.xyz, 3); attribute(p, "normal", B.normal, 3); attribute(p, "colour", B.colour, 3); attribute(p, "label", B.label, 1); gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, B.faces); }
  const faces = (from, to) => { if (to > from) gl.drawElements(gl.TRIANGLES, to - from, gl.UNSIGNED_INT, 4 * from); };
  function drawSurface() {
    const opacity = parseFloat(byId("opacity").value), n = mesh.faces.length;
    scene(solid);
    gl.uniform1f(uniform(solid, "chosen"), picked >= 0 ? data.rows[picked].spine : -99);
    gl.uniform1f(uniform(solid, "opacity"), 1);
    if (opacity >= 1) return faces(0, n);
    faces(0, nSpine);
    // Depth alone first, so that of the translucent part only the front is seen
    gl.colorMask(false, false, false, false); faces(nSpine, n); gl.colorMask(true, true, true, true);
    gl.enable(gl.BLEND); gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    gl.uniform1f(uniform(solid, "opacity"), opacity);
    faces(nSpine, n);
    gl.disable(gl.BLEND);
  }
  function scaleBar() {
    const nm = size / (zoom * canvas.clientWidth), goal = 0.2 * canvas.clientWidth * nm, p = 10 ** Math.floor(Math.log10(goal));
    const length = Math.max(...[1, 2, 5].map((m) => m * p).filter((v) => v <= goal));
    byId("scale").style.width = `${length / nm}px`;
    byId("scale").firstChild.textContent = `${+(length / 1000).toPrecision(3)} µm`;
  }
  draw = () => {
    const ratio = window.devicePixelRatio || 1, w = Math.round(canvas.clientWidth * ratio), h = Math.round(canvas.clientHeight * ratio);
    if (!w || !h) return;
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    gl.viewport(0, 0, w, h); gl.clearColor(0.97, 0.975, 0.98, 1); gl.enable(gl.DEPTH_TEST); gl.depthFunc(gl.LEQUAL); gl.disable(gl.BLEND);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (byId("show-points").checked && points.labels.length) { use(dots); attribute(dots, "xyz", B.pxyz, 3); attribute(dots, "colour", byId("point-colour").value === "depth" ? B.pdepth : B.ptype, 3); gl.uniform1f(uniform(dots, "dot"), 2 * ratio); gl.drawArrays(gl.POINTS, 0, points.labels.length); }
    if (byId("show-mesh").checked) drawSurface();
    if (byId("show-rings").checked && ringLines.length) { use(dots, 60 / size); attribute(dots, "xyz", B.rings, 3); attribute(dots, "colour", B.black, 3); gl.uniform1f(uniform(dots, "dot"), 1); gl.drawArrays(gl.LINES, 0, ringLines.length / 3); }
    scaleBar();
  };
  // One pixel beside the canvas, so that picking draws nothing that is seen; a texture has 8 bits
  const spot = gl.createFramebuffer(), hue = gl.createTexture(), deep = gl.createRenderbuffer();
  gl.bindTexture(gl.TEXTURE_2D, hue);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 1, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
  gl.bindRenderbuffer(gl.RENDERBUFFER, deep); gl.renderbufferStorage(gl.RENDERBUFFER, gl.DEPTH_COMPONENT16, 1, 1);
  gl.bindFramebuffer(gl.FRAMEBUFFER, spot);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, hue, 0);
  gl.framebufferRenderbuffer(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.RENDERBUFFER, deep);
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  function spineAt(x, y) {
    const px = new Uint8Array(4), ratio = canvas.width / canvas.clientWidth;
    gl.bindFramebuffer(gl.FRAMEBUFFER, spot);
    gl.viewport(-Math.round(x * ratio), Math.round(y * ratio) - canvas.height + 1, canvas.width, canvas.height);
    gl.disable(gl.BLEND); gl.enable(gl.DEPTH_TEST); gl.clearColor(0, 0, 0, 1); gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    scene(ids); faces(0, mesh.faces.length);
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, px);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    return px[0] + 256 * px[1] - 2;
  }
  // Where a place in nm is on the canvas, in CSS pixels
  function project(xyz) {
    const q = xyz.map((v, j) => v - data.centre[j]), s = (zoom * canvas.clientWidth) / size, [a, b] = [0, 1].map((i) => turn[i] * q[0] + turn[3 + i] * q[1] + turn[6 + i] * q[2]);
    return [canvas.clientWidth / 2 + a * s + (shift[0] * canvas.clientWidth) / 2, canvas.clientHeight / 2 - b * s - (shift[1] * canvas.clientHeight) / 2];
  }
  let from = null, moved = 0;
  canvas.addEventListener("pointerdown", (e) => { from = [e.clientX, e.clientY]; moved = 0; canvas.setPointerCapture(e.pointerId); canvas.focus({ preventScroll: true }); });
  canvas.addEventListener("pointermove", (e) => {
    if (!from) return;
    const dx = e.clientX - from[0], dy = e.clientY - from[1];
    from = [e.clientX, e.clientY]; moved += Math.abs(dx) + Math.abs(dy);
    if (e.shiftKey || e.buttons === 2) { shift[0] += (2 * dx) / canvas.clientWidth; shift[1] -= (2 * dy) / canvas.clientHeight; }
    else turn = multiply(multiply(around("y", dx * 0.01), around("x", dy * 0.01)), turn);
    draw();
  });
  canvas.addEventListener("pointerup", (e) => {
    from = null;
    if (moved >= 4) return;
    const r = canvas.getBoundingClientRect(), label = spineAt(e.clientX - r.left, e.clientY - r.top);
    const i = data.rows.findIndex((row) => row.spine === label);
    if (i >= 0) pick(i);
  });
  canvas.addEventListener("contextmenu", (e) => e.preventDefault());
  canvas.addEventListener("wheel", (e) => { e.preventDefault(); zoom = Math.min(200, Math.max(0.1, zoom * Math.exp(-e.deltaY * 0.001))); draw(); }, { passive: false });
  canvas.addEventListener("keydown", (e) => {
    const step = { ArrowLeft: ["y", -0.1], ArrowRight: ["y", 0.1], ArrowUp: ["x", -0.1], ArrowDown: ["x", 0.1] }[e.key];
    const n = data.rows.length;
    if (step) turn = multiply(around(...step), turn);
    else if (e.key === "+" || e.key === "=") zoom *= 1.15;
    else if (e.key === "-") zoom /= 1.15;
    else if ((e.key === "n" || e.key === "p") && n) return pick((picked + (e.key === "n" ? 1 : picked < 0 ? 0 : n - 1) + n) % n);
    else return;
    e.preventDefault(); draw();
  });
  for (const b of document.querySelectorAll("[data-from]")) b.addEventListener("click", () => { turn = views[b.dataset.from].slice(); zoom = 0.95; shift = [0, 0]; draw(); });
  for (const id of ["show-mesh", "show-points", "show-rings", "opacity", "point-colour"]) byId(id).addEventListener("input", draw);
  window.addEventListener("resize", draw);
  draw();
  Object.assign(window.nanospine, { spineAt, project });
}

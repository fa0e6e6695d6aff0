// What all parts of the page share: the data, names and numbers as people read them.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const units = { neck_diameter_low_nm: "neck low (nm)", neck_diameter_high_nm: "neck high (nm)", n_localizations: "localizations", volume_nm3: "volume (µm³)", head_volume_nm3: "head volume (µm³)", area_nm2: "area (µm²)" };
const title = (c) => units[c] || c.replace(/_nm$/, " (nm)").replace(/_/g, " ");
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255);
const isNumber = (v) => typeof v === "number" && isFinite(v);
const kinds = Object.keys(data.colours).filter((t) => t !== "shaft");
function shown(c, v) {
  if (!isNumber(v)) return v === null || v === "nan" ? "–" : String(v);
  if (c.endsWith("_nm3")) return (v / 1e9).toFixed(4);
  if (c.endsWith("_nm2")) return (v / 1e6).toFixed(3);
  if (c === "quality") return v.toFixed(2);
  return c.endsWith("_nm") ? v.toFixed(0) : String(v);
}
function element(name, text, parent, attributes = {}) {
  const e = document.createElement(name);
  if (text !== null) e.textContent = text;
  for (const k in attributes) e.setAttribute(k, attributes[k]);
  if (parent) parent.append(e);
  return e;
}
function dot(type, parent) {
  const i = element("i", null, parent, { class: "dot" });
  i.style.background = data.colours[type];
}
// What is folded away on the screen belongs on paper
window.addEventListener("beforeprint", () => { for (const d of document.querySelectorAll("details")) d.open = true; });
let picked = -1;
let draw = () => {};

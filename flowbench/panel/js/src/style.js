// How nodes and edges look. Colours, shapes and sizes are data of the elements; text, background and
// focus have the colours of JupyterLab's theme, or of a light page.

const MANY_EDGES = 500;
const THEME = {
  text: ["--jp-ui-font-color1", "#22262b"],
  background: ["--jp-layout-color0", "#ffffff"],
  focus: ["--jp-brand-color1", "#0072b2"],
};

/** Read the colours of the page's theme as an element has them. */
export function readTheme(element) {
  const style = getComputedStyle(element);
  const entries = Object.entries(THEME).map(([name, [variable, fallback]]) => [
    name, style.getPropertyValue(variable).trim() || fallback,
  ]);
  return Object.fromEntries(entries);
}

/** Return Cytoscape's style sheet in these colours; many edges are straight, which is faster. */
export function styleSheet({ text, background, focus }, edgeCount) {
  return [
    {
      selector: "node",
      style: {
        width: "data(size)",
        height: "data(size)",
        shape: "data(shape)",
        "background-color": "data(color)",
        "border-width": 1.5,
        "border-color": background,
        label: "data(label)",
        color: text,
        "font-size": 11,
        "font-family": "system-ui, sans-serif",
        "min-zoomed-font-size": 7,
        "text-wrap": "wrap",
        "text-valign": "bottom",
        "text-margin-y": 3,
        "text-background-color": background,
        "text-background-opacity": 0.75,
        "text-background-padding": 1,
      },
    },
    { selector: "node[?suspect]", style: { "border-width": 4, "border-color": text, "font-weight": "bold", "min-zoomed-font-size": 0 } },
    { selector: "node[?pinned]", style: { "border-style": "double", "border-width": 5, "border-color": text } },
    {
      selector: "edge",
      style: {
        width: "data(width)",
        "line-color": "data(color)",
        "line-style": "data(dash)",
        "target-arrow-color": "data(color)",
        "target-arrow-shape": "triangle",
        "arrow-scale": 0.8,
        "curve-style": edgeCount > MANY_EDGES ? "straight" : "bezier",
      },
    },
    { selector: "node:selected", style: { "underlay-color": focus, "underlay-opacity": 0.45, "underlay-padding": 8 } },
    { selector: "edge:selected", style: { "underlay-color": focus, "underlay-opacity": 0.45, "underlay-padding": 4 } },
    { selector: ":active", style: { "overlay-opacity": 0 } },
  ];
}

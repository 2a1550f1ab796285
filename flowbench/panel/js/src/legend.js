// The legend: a small drawing of each kind of node and edge, with its meaning as text.

import { make } from "./dom.js";
import { draw } from "./svg.js";

const DASHES = { solid: "", dotted: "2 3", dashed: "5 3" };

/** Make the item of {label, color, dash} (an edge) or {label, color, shape} (a node). */
export function legendItem({ label, color, dash, shape }) {
  const drawing = draw("svg", { width: 24, height: 14, "aria-hidden": "true" });
  if (dash) {
    const line = { x1: 1, y1: 7, x2: 23, y2: 7, stroke: color, "stroke-width": 3 };
    drawing.append(draw("line", { ...line, "stroke-dasharray": DASHES[dash] }));
  } else {
    drawing.append(drawNode(shape, color));
  }
  return make("li", {}, [drawing, label]);
}

function drawNode(shape, color) {
  const corners = {
    diamond: "12,1 18,7 12,13 6,7",
    octagon: "9,1 15,1 18,4 18,10 15,13 9,13 6,10 6,4",
    triangle: "12,1 18,13 6,13",
  };
  if (shape === "ellipse") return draw("circle", { cx: 12, cy: 7, r: 6, fill: color });
  if (shape === "rectangle") return draw("rect", { x: 6, y: 1, width: 12, height: 12, fill: color });
  return draw("polygon", { points: corners[shape], fill: color });
}

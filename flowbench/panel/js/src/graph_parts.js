// What the graph explorer puts into the page: buttons, the drawing's place, facts and tables.

import { button, make } from "./dom.js";

const HELP =
  "Arrow keys go from node to node, Page Up and Page Down through all of them. Enter expands the" +
  " selected node, Backspace collapses it, P pins it; plus, minus and 0 zoom.";

/** The elements of a view, by name; `all` in the order of the page. */
export function buildParts(model) {
  const parts = {
    heading: make("h3"),
    expand: button("Expand", "Show the neighbours of the selected node (Enter or double-click)"),
    collapse: button("Collapse", "Hide the neighbours of the selected node (Backspace)"),
    pin: button("Pin", "Keep the selected node where it is when the graph is arranged (P)"),
    arrange: button("Arrange", "Place all nodes anew, except those that are pinned"),
    fit: button("Fit", "Show the whole graph (0)"),
    closer: button("+", "Zoom in"),
    farther: button("−", "Zoom out"),
    copy: button("Copy as code", "The call that makes this view"),
    canvas: make("div", { className: "canvas" }),
    tip: make("div", { className: "tip", hidden: true }),
    legend: make("ul", { className: "legend", "aria-label": "Legend" }),
    message: make("div", { className: "message", role: "status" }),
    facts: make("div", { className: "facts", role: "status", "aria-label": "Selection" }),
    code: make("pre", { hidden: true }),
    nodeTable: make("div", { className: "scroll nodes", tabIndex: 0, role: "region", "aria-label": "Nodes" }),
    edgeTable: make("div", { className: "scroll edges", tabIndex: 0, role: "region", "aria-label": "Connections" }),
    summary: make("summary"),
  };
  const { expand, collapse, pin, arrange, fit, closer, farther, copy } = parts;
  parts.stage = make(
    "div",
    {
      className: "stage", tabIndex: 0, role: "application", "aria-description": HELP, title: "",
      "data-lm-suppress-shortcuts": "true", // keys here are no commands of JupyterLab
    },
    [parts.canvas, parts.tip],
  );
  parts.stage.style.height = `${model.get("height")}px`;
  parts.all = [
    parts.heading,
    make("div", { className: "bar", role: "toolbar", "aria-label": "Graph" }, [
      expand, collapse, pin, arrange, fit, closer, farther, copy,
    ]),
    parts.code,
    parts.stage,
    parts.legend,
    parts.message,
    parts.facts,
    make("details", {}, [parts.summary, parts.nodeTable, parts.edgeTable]),
  ];
  return parts;
}

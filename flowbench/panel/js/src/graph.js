// The graph explorer's view: a function of the model's traits. What the user does goes to Python as
// a message {action, …}; Python answers with new traits. Only the place of the view is kept here.

import cytoscape from "cytoscape";

import { button, make } from "./dom.js";
import { Camera } from "./graph_camera.js";
import { buildParts } from "./graph_parts.js";
import { nodeByKey } from "./keys.js";
import { placeNodes } from "./layout.js";
import { legendItem } from "./legend.js";
import { readTheme, styleSheet } from "./style.js";
import { markRow, showTable } from "./tables.js";
import { showTip } from "./tip.js";

const DOUBLE_CLICK = 400; // ms between two clicks that expand the node of the first
const NEAR = 12; // pixels between them: the first one selects, and what it shows may move the node
const ZOOM_STEP = 1.25;

function render({ model, el }) {
  const parts = buildParts(model);
  el.classList.add("flowbench-view", "flowbench-graph");
  el.append(...parts.all);

  const cy = cytoscape({
    container: parts.canvas,
    layout: { name: "preset" },
    userZoomingEnabled: false, // the wheel scrolls the notebook; with Ctrl it zooms
    boxSelectionEnabled: false,
    selectionType: "single",
    hideEdgesOnViewport: true,
    minZoom: 0.05,
    maxZoom: 5,
  });
  const send = (action, details = {}) => model.send({ action, ...details });
  let lastTap = { id: "", time: 0, x: 0, y: 0 };
  let revision = 0;
  const camera = new Camera(cy);

  function select(id) {
    model.set("selected", id);
    model.save_changes();
  }

  function restyle() {
    cy.style(styleSheet(readTheme(el), cy.edges().length));
    camera.sizeLabels();
  }

  function update() {
    const { nodes, edges, title } = model.get("elements");
    const positions = { ...model.get("positions") };
    const placed = placeNodes(nodes, edges, positions);
    const ids = new Set([...nodes, ...edges].map(({ id }) => id));
    cy.batch(() => {
      cy.elements().filter((element) => !ids.has(element.id())).remove();
      for (const node of nodes) {
        const known = positions[node.id];
        const [x, y] = known ?? placed[node.id];
        put({ data: { ...node, pinned: Boolean(known?.[2]) }, position: { x, y } });
      }
      for (const edge of edges) put({ data: edge });
    });
    restyle();
    parts.heading.textContent = title;
    parts.canvas.parentElement.setAttribute("aria-label", title);
    showLegend();
    showTables();
    if (Object.keys(placed).length) {
      if (!camera.isMoved || !camera.sees(Object.keys(placed))) camera.fit();
      send("moved", { positions: placed });
    }
    showSelection();
  }

  function put(element) {
    const shown = cy.getElementById(element.data.id);
    if (shown.empty()) {
      cy.add(element);
    } else {
      shown.data(element.data);
      if (element.position && !shown.grabbed()) shown.position(element.position);
    }
  }

  function movePositions() {
    cy.batch(() => {
      for (const [id, [x, y, pinned]] of Object.entries(model.get("positions"))) {
        const node = cy.getElementById(id);
        if (node.empty() || node.grabbed()) continue;
        node.position({ x, y });
        node.data("pinned", Boolean(pinned));
      }
    });
    showSelection();
  }

  function arrange() {
    const { nodes, edges } = model.get("elements");
    const entries = Object.entries(model.get("positions")).filter(([, [, , pinned]]) => pinned);
    send("moved", { positions: placeNodes(nodes, edges, Object.fromEntries(entries)) });
    const refit = () => {
      camera.fit();
      model.off("change:positions", refit);
    };
    model.on("change:positions", refit);
  }

  function pin() {
    const node = cy.getElementById(model.get("selected"));
    if (node.empty() || !node.isNode()) return;
    const { x, y } = node.position();
    const pinned = node.data("pinned") ? 0 : 1;
    send("moved", { positions: { [node.id()]: [Math.round(x), Math.round(y), pinned] } });
  }

  function showSelection() {
    const selected = model.get("selected");
    const element = cy.getElementById(selected);
    cy.elements(":selected").unselect();
    element.select();
    const isNode = element.nonempty() && element.isNode();
    parts.expand.disabled = !isNode || element.data("expanded");
    parts.collapse.disabled = !isNode || !element.data("expanded");
    parts.pin.disabled = !isNode;
    parts.pin.setAttribute("aria-pressed", String(isNode && element.data("pinned")));
    const facts = element.empty() ? ["Nothing is selected: click a node or a line, or use the arrow keys."] : element.data("facts");
    parts.facts.replaceChildren(facts.join("\n"), ...listMembers(selected));
    markRow(parts.nodeTable, selected);
    markRow(parts.edgeTable, selected);
    el.dataset.selected = selected;
    el.dataset.revision = String((revision += 1));
    if (isNode && !camera.sees([selected])) cy.center(element);
  }

  function listMembers(selected) {
    const { group, items = [], more = "" } = model.get("members");
    if (group !== selected || !selected) return [];
    const buttons = items.map(({ id, text }) =>
      make("li", {}, [button(text, "Show this address by itself", () => send("show", { node: id }))]),
    );
    return [make("ul", {}, buttons), more];
  }

  function showTables() {
    const { nodes, edges, node_columns, edge_columns } = model.get("elements");
    const tables = [
      [parts.nodeTable, { columns: node_columns, rows: nodes, caption: `Nodes: ${nodes.length}` }],
      [parts.edgeTable, { columns: edge_columns, rows: edges, caption: `Connections: ${edges.length}` }],
    ];
    for (const [parent, table] of tables) showTable(parent, table, select);
    parts.summary.textContent = `Tables of the ${nodes.length} nodes and the connections between them`;
  }

  function showLegend() {
    parts.legend.replaceChildren(...model.get("elements").legend.map(legendItem));
    parts.message.textContent = model.get("elements").message;
  }

  const hideTip = () => {
    parts.tip.hidden = true;
  };

  cy.on("tap", (event) => {
    hideTip();
    // The times are the browser's: a busy page may handle the second click late.
    const { timeStamp: time, clientX: x = 0, clientY: y = 0 } = event.originalEvent;
    const isNear = Math.hypot(x - lastTap.x, y - lastTap.y) < NEAR;
    if (lastTap.id && isNear && time - lastTap.time < DOUBLE_CLICK) {
      send("expand", { node: lastTap.id });
      lastTap = { id: "", time, x, y };
      return;
    }
    const id = event.target === cy ? "" : event.target.id();
    lastTap = { id: id && event.target.isNode() ? id : "", time, x, y };
    select(id);
  });
  cy.on("zoom", () => camera.sizeLabels());
  cy.on("dragpan", () => {
    camera.isMoved = true;
  });
  cy.on("mouseover", "node, edge", ({ target, renderedPosition: { x, y } }) => {
    showTip(parts.tip, target.data("facts"), x, y);
  });
  cy.on("mouseout pan zoom grab", hideTip);
  cy.on("dragfreeon", "node", ({ target }) => {
    const { x, y } = target.position();
    send("moved", { positions: { [target.id()]: [Math.round(x), Math.round(y), 1] } });
  });
  cy.on("render", () => {
    // Where each node is on the screen: for tests, and for programs that read the page aloud.
    for (const row of parts.nodeTable.querySelectorAll("tbody tr")) {
      const node = cy.getElementById(row.dataset.id);
      if (node.empty()) continue;
      const { x, y } = node.renderedPosition();
      row.dataset.x = x.toFixed(1);
      row.dataset.y = y.toFixed(1);
    }
  });

  const actions = {
    Enter: () => send("expand", { node: model.get("selected") }),
    Backspace: () => send("collapse", { node: model.get("selected") }),
    p: pin,
    "+": () => camera.zoom(ZOOM_STEP),
    "-": () => camera.zoom(1 / ZOOM_STEP),
    0: () => camera.fit(),
    Escape: hideTip,
  };
  parts.stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const id = nodeByKey(event.key, cy, model.get("selected"));
    const needsSelection = event.key === "Enter" || event.key === "Backspace";
    if (id !== undefined) select(id);
    else if (!actions[event.key]) return;
    else if (!needsSelection || cy.getElementById(model.get("selected")).nonempty()) actions[event.key]();
    event.preventDefault();
    event.stopPropagation();
  });
  parts.stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    camera.zoom(event.deltaY < 0 ? ZOOM_STEP : 1 / ZOOM_STEP);
  }, { passive: false });
  parts.expand.onclick = actions.Enter;
  parts.collapse.onclick = actions.Backspace;
  parts.pin.onclick = pin;
  parts.arrange.onclick = arrange;
  parts.fit.onclick = actions[0];
  parts.closer.onclick = actions["+"];
  parts.farther.onclick = actions["-"];
  parts.copy.onclick = () => {
    parts.code.hidden = false;
    parts.code.textContent = model.get("code");
    navigator.clipboard?.writeText(model.get("code")).catch(() => {}); // else it can be marked
  };
  const showCode = () => {
    parts.code.textContent = model.get("code");
  };

  // Cytoscape remembers where it is on the page until something scrolls or is resized. It cannot know
  // of the notebook, which it is put into later, nor of a cell above that grows: ask again each time.
  const locate = () => cy.renderer().invalidateContainerClientCoordsCache();
  for (const name of ["pointerdown", "pointermove", "touchstart"]) {
    parts.stage.addEventListener(name, locate, { capture: true, passive: true });
  }
  const resized = new ResizeObserver(() => {
    cy.resize();
    if (!camera.isMoved) camera.fit();
  });
  resized.observe(parts.stage);
  const themed = new MutationObserver(restyle);
  themed.observe(document.body, { attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  const listeners = {
    "change:elements": update,
    "change:positions": movePositions,
    "change:selected": showSelection,
    "change:members": showSelection,
    "change:code": showCode,
  };
  for (const [name, listener] of Object.entries(listeners)) model.on(name, listener);
  update();
  return () => {
    for (const [name, listener] of Object.entries(listeners)) model.off(name, listener);
    resized.disconnect();
    themed.disconnect();
    cy.destroy();
  };
}

export default { render };

// The timeline's view: lanes of bars and marks. A drag across sends a period, a click selects an
// event; Python answers with new traits.

import { ticks, tickLines } from "./axis.js";
import { button, make } from "./dom.js";
import { draw, shortenText } from "./svg.js";
import { showTip } from "./tip.js";

const LANE = 26; // px, height of a lane
const BAR = 12;
const RADIUS = 5;
const AXIS = 40;
const RIGHT = 16;
const TICK_ROOM = 90;
const LEAST_DRAG = 6; // px; less is a click
const HELP =
  "Arrow keys go from event to event in order of time, Home and End to the first and last." +
  " The slider above chooses the period.";

function render({ model, el }) {
  const tip = make("div", { className: "tip", hidden: true });
  const drawing = make("div");
  const stage = make(
    "div",
    {
      className: "stage", tabIndex: 0, role: "application", "aria-description": HELP,
      "data-lm-suppress-shortcuts": "true", // keys here are no commands of JupyterLab
    },
    [drawing, tip],
  );
  const heading = make("h3");
  const whole = button("Whole period", "Show all events again", () => choosePeriod(null, null));
  const message = make("div", { className: "message" });
  el.classList.add("flowbench-view", "flowbench-timeline");
  el.append(heading, make("div", { className: "bar" }, [whole]), stage, message);

  let scale = { left: 0, first: 0, perPixel: 1 };
  let drag = null; // where the pointer went down: {x, id, rect}

  const toTime = (x) => scale.first + (x - scale.left) * scale.perPixel;
  const toX = (time) => scale.left + (time - scale.first) / scale.perPixel;

  function select(id) {
    model.set("selected", id);
    model.save_changes();
  }

  function choosePeriod(since, until) {
    model.send({ action: "period", since, until });
  }

  function update() {
    const { title, lanes, marks, first, last, hint } = model.get("elements");
    const width = Math.max(stage.clientWidth, 320);
    const left = Math.min(270, Math.round(width * 0.36));
    const height = lanes.length * LANE + AXIS;
    scale = { left, first, perPixel: (last - first) / (width - left - RIGHT) };
    heading.textContent = title;
    message.textContent = hint;
    stage.setAttribute("aria-label", title);
    const svg = draw("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
    for (const time of ticks(first, last, (width - left) / TICK_ROOM)) {
      const x = toX(time);
      const bottom = lanes.length * LANE;
      svg.append(draw("line", { class: "grid", x1: x, x2: x, y1: 0, y2: bottom }));
      tickLines(time).forEach((line, n) => {
        svg.append(draw("text", { x, y: bottom + 15 + 14 * n, "text-anchor": "middle" }, [line]));
      });
    }
    lanes.forEach((label, lane) => {
      svg.append(draw("text", { class: "lane", x: left - 8, y: middle(lane) + 4, "text-anchor": "end" }, [label]));
    });
    for (const mark of marks) svg.append(drawMark(mark));
    drawing.replaceChildren(svg);
    for (const text of svg.querySelectorAll(".lane")) shortenText(text, left - 12);
    showSelection();
  }

  const middle = (lane) => lane * LANE + LANE / 2;

  function drawMark({ id, lane, start, end, color, cross, facts }) {
    const x = toX(start);
    const y = middle(lane);
    const label = { role: "img", "aria-label": facts.join("; "), "data-id": id };
    if (end !== null) {
      const width = Math.max(toX(end) - x, 4);
      return draw("rect", { ...label, x, y: y - BAR / 2, width, height: BAR, rx: 2, fill: color });
    }
    if (!cross) return draw("circle", { ...label, cx: x, cy: y, r: RADIUS, fill: color });
    const path = `M${x - 4},${y - 4}l8,8m0,-8l-8,8`;
    const room = { x: x - 6, y: y - 6, width: 12, height: 12, fill: "transparent" }; // to be clicked
    return draw("g", label, [
      draw("rect", room),
      draw("path", { d: path, stroke: color, "stroke-width": 3, fill: "none" }),
    ]);
  }

  function showSelection() {
    const selected = model.get("selected");
    drawing.querySelector(".chosen")?.remove();
    const mark = [...drawing.querySelectorAll("[data-id]")].find((m) => m.dataset.id === selected);
    if (mark) {
      const { x, y, width, height } = mark.getBBox();
      const frame = { x: x - 4, y: y - 4, width: width + 8, height: height + 8, rx: 4 };
      drawing.firstChild.append(draw("rect", { class: "chosen", ...frame }));
    }
    el.dataset.selected = selected;
  }

  function place(event) {
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** The event under the pointer; of several that lie there, the one after the selected one. */
  function idUnder({ clientX, clientY }) {
    const marks = el.getRootNode().elementsFromPoint(clientX, clientY)
      .map((element) => element.closest(".flowbench-timeline [data-id]"))
      .filter((mark) => mark && el.contains(mark));
    const ids = [...new Set(marks.map((mark) => mark.dataset.id))];
    return ids[(ids.indexOf(model.get("selected")) + 1) % ids.length];
  }

  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    drag = { x: place(event).x, id: idUnder(event), rect: null };
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    const { x, y } = place(event);
    const mark = event.target.closest("[data-id]");
    if (drag) {
      tip.hidden = true;
      drawBrush(x);
    } else if (mark) {
      const { facts } = model.get("elements").marks.find(({ id }) => id === mark.dataset.id);
      showTip(tip, facts, x, y);
    } else {
      tip.hidden = true;
    }
  });
  stage.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const { x: start, id, rect } = drag;
    drag = null;
    rect?.remove();
    const ends = [start, place(event).x].sort((a, b) => a - b);
    if (ends[1] - ends[0] >= LEAST_DRAG) choosePeriod(...ends.map((x) => Math.round(toTime(x))));
    else if (id !== undefined) select(id);
  });
  const cancel = () => {
    drag?.rect?.remove();
    drag = null;
    tip.hidden = true;
  };
  stage.addEventListener("pointercancel", cancel);
  stage.addEventListener("pointerleave", () => {
    tip.hidden = true;
  });

  function drawBrush(x) {
    drag.rect ??= drawing.firstChild.appendChild(draw("rect", { class: "brush", y: 0 }));
    const from = Math.max(Math.min(x, drag.x), scale.left);
    drag.rect.setAttribute("x", from);
    drag.rect.setAttribute("width", Math.max(Math.max(x, drag.x) - from, 0));
    drag.rect.setAttribute("height", model.get("elements").lanes.length * LANE);
  }

  stage.addEventListener("keydown", (event) => {
    const ids = [...model.get("elements").marks]
      .sort((a, b) => a.start - b.start || a.lane - b.lane)
      .map(({ id }) => id);
    const at = ids.indexOf(model.get("selected"));
    const next = {
      ArrowRight: at + 1, ArrowDown: at + 1,
      ArrowLeft: Math.max(at - 1, 0), ArrowUp: Math.max(at - 1, 0),
      Home: 0, End: ids.length - 1,
    }[event.key];
    if (event.key === "Escape") cancel();
    else if (next === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    else if (ids.length) select(ids[Math.min(next, ids.length - 1)]);
    event.preventDefault();
    event.stopPropagation();
  });

  let drawnWidth = 0;
  const resized = new ResizeObserver(() => {
    if (stage.clientWidth !== drawnWidth) update();
    drawnWidth = stage.clientWidth;
  });
  resized.observe(el);
  const listeners = { "change:elements": update, "change:selected": showSelection };
  for (const [name, listener] of Object.entries(listeners)) model.on(name, listener);
  update();
  return () => {
    for (const [name, listener] of Object.entries(listeners)) model.off(name, listener);
    resized.disconnect();
  };
}

export default { render };

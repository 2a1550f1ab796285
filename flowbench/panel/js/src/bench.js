// The hunting bench's view: a function of the model's traits. What the user does goes to Python as a
// message {action, …}; Python answers with new traits. No text becomes markup.

import { activity } from "./bench_activity.js";
import { filterLine } from "./bench_filter.js";
import { codePart } from "./code.js";
import { button, make } from "./dom.js";

function render({ model, el }) {
  el.classList.add("flowbench-view", "flowbench-bench");
  el.dataset.lmSuppressShortcuts = "true"; // keys here are no commands of JupyterLab
  el.addEventListener("keydown", (event) => event.stopPropagation());
  const send = (action, details = {}) => model.send({ action, ...details });
  const parts = [
    toolbar(model, send),
    filterLine(model, send),
    activity(model, send),
    bars(model, send),
    rows(model, send),
    bookmarks(model, send),
    codePart(model),
  ];
  el.append(...parts.map(({ element }) => element));
  const listeners = parts.flatMap(({ traits, update }) => traits.map((trait) => [`change:${trait}`, update]));
  for (const [name, listener] of listeners) model.on(name, listener);
  for (const { update } of parts) update();
  return () => {
    for (const [name, listener] of listeners) model.off(name, listener);
    for (const { stop } of parts) stop?.();
  };
}

function toolbar(model, send) {
  const back = button("Back", "The view before this one", () => send("back"));
  const forward = button("Forward", "The view after this one", () => send("forward"));
  const clear = button("Show all", "Without filter and period", () => send("clear"));
  const cancel = button("Cancel", "Stop the running query", () => send("cancel"));
  const measure = make("select", { onchange: () => send("measure", { measure: measure.value }) });
  for (const name of ["connections", "bytes", "rejected"]) {
    measure.append(make("option", { value: name, textContent: name }));
  }
  const totals = make("p", { className: "totals" });
  const status = make("span", { role: "status", className: "faint" });
  const line = make("div", { className: "bar" }, [
    back, forward, clear,
    make("label", {}, ["Measure ", measure]),
    cancel, status,
  ]);
  const update = () => {
    const { can_go_back, can_go_forward, busy, text } = model.get("status");
    back.disabled = !can_go_back;
    forward.disabled = !can_go_forward;
    cancel.hidden = !busy;
    measure.value = model.get("state").measure;
    status.textContent = text;
    totals.textContent = model.get("totals");
    line.parentElement?.setAttribute("aria-busy", String(busy));
  };
  const element = make("div", {}, [line, totals]);
  return { element, traits: ["status", "state", "totals"], update };
}

function bars(model, send) {
  const element = make("div", { className: "columns" });
  const update = () => {
    element.replaceChildren(
      ...model.get("bars").map(({ title, empty, items }) => {
        const most = Math.max(1, ...items.map(({ value }) => value));
        const list = make("ol", {}, items.map((item) => {
          const entry = button("", `${item.title}\nFilter: ${item.condition}`, () =>
            send("pivot", { condition: item.condition }),
          );
          entry.className = "measure";
          entry.style.setProperty("--share", `${(100 * item.value) / most}%`);
          entry.append(
            make("span", { className: "label", textContent: item.label }),
            make("span", { className: "value", textContent: item.text }),
          );
          return make("li", {}, [entry]);
        }));
        const nothing = items.length ? [] : [make("p", { className: "faint", textContent: empty })];
        return make("section", {}, [make("h4", { textContent: title }), list, ...nothing]);
      }),
    );
  };
  return { element, traits: ["bars"], update };
}

function rows(model, send) {
  const kinds = ["connections", "records"].map((kind) => {
    const label = kind === "connections" ? "Connections" : "Flow records";
    return [kind, button(label, `Show ${label.toLowerCase()}`, () => send("rows", { kind }))];
  });
  const earlier = button("Previous page", "The rows before these", () => send("page", { by: -1 }));
  const later = button("Next page", "The rows after these", () => send("page", { by: 1 }));
  const note = make("span", { className: "faint" });
  const table = make("table");
  const scroll = make("div", { className: "scroll rows", tabIndex: 0, role: "region", "aria-label": "Rows" }, [table]);
  const element = make("section", {}, [
    make("div", { className: "bar" }, [...kinds.map(([, tab]) => tab), earlier, later, note]),
    scroll,
  ]);
  const cell = ({ text, condition }) =>
    make("td", {}, condition
      ? [Object.assign(button(text, `Filter: ${condition}`, () => send("pivot", { condition })), { className: "link" })]
      : [text]);
  const update = () => {
    const { kind, columns, rows: shown, note: text, has_earlier, has_later } = model.get("rows");
    for (const [name, tab] of kinds) tab.setAttribute("aria-pressed", String(name === kind));
    earlier.disabled = !has_earlier;
    later.disabled = !has_later;
    note.textContent = text;
    scroll.hidden = !shown.length;
    table.replaceChildren(
      make("thead", {}, [make("tr", {}, columns.map((name) => make("th", { scope: "col", textContent: name })))]),
      make("tbody", {}, shown.map((cells) => make("tr", {}, cells.map(cell)))),
    );
  };
  return { element, traits: ["rows"], update };
}

function bookmarks(model, send) {
  const note = make("input", { type: "text", maxLength: 2000, "aria-label": "Note of the bookmark", placeholder: "What the view shows" });
  const list = make("ul");
  const form = make("form", { className: "bar" }, [
    make("label", { className: "note" }, ["Bookmark this view", note]),
    make("button", { type: "submit", textContent: "Bookmark", title: "Keep the view and the note in the case" }),
  ]);
  form.onsubmit = (event) => {
    event.preventDefault();
    send("bookmark", { note: note.value });
  };
  const update = () => {
    note.value = ""; // it is kept now; where it cannot be, the text stays
    list.replaceChildren(
      ...model.get("bookmarks").map(({ label, number }) =>
        make("li", {}, [button(label, "Show this view", () => send("open", { number }))]),
      ),
    );
  };
  return { element: make("section", {}, [form, list]), traits: ["bookmarks"], update };
}

export default { render };

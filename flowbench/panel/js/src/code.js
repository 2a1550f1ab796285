// A view as code, to be copied: a part of the bench, and a widget of its own below other panels.

import { button, make } from "./dom.js";

/** Make the part that shows the model's `code`. */
export function codePart(model) {
  const text = make("pre", { tabIndex: 0, "aria-label": "Code of this view" });
  const told = make("span", { className: "faint", role: "status" });
  const copy = button("Copy", "Copy the code that makes this view", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      told.textContent = "Copied.";
    } catch {
      // A page that is not on loopback or https has no clipboard.
      getSelection().selectAllChildren(text);
      told.textContent = "Selected: copy it with Ctrl+C.";
    }
  });
  const summary = make("summary", { textContent: "This view as code" });
  const element = make("details", {}, [summary, text, make("div", { className: "bar" }, [copy, told])]);
  const update = () => {
    text.textContent = model.get("code");
    told.textContent = "";
  };
  return { element, traits: ["code"], update };
}

function render({ model, el }) {
  el.classList.add("flowbench-view");
  el.dataset.lmSuppressShortcuts = "true"; // keys here are no commands of JupyterLab
  const { element, update } = codePart(model);
  el.append(element);
  model.on("change:code", update);
  update();
  return () => model.off("change:code", update);
}

export default { render };

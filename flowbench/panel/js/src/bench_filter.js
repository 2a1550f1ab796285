// The filter line: a text field with completion (the pattern of an editable combobox) and errors.

import { button, make } from "./dom.js";

let count = 0; // of filter lines on the page: their elements have ids of their own

export function filterLine(model, send) {
  const id = `flowbench-filter-${(count += 1)}`;
  const input = make("input", {
    type: "text", id, spellcheck: false, autocomplete: "off", role: "combobox",
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${id}-list`,
    "aria-describedby": `${id}-error`, placeholder: "src in 10.0.0.0/8 and dport = 22",
  });
  const list = make("ul", { id: `${id}-list`, role: "listbox", className: "completion", hidden: true });
  const error = make("p", { id: `${id}-error`, role: "alert", className: "error" });
  const form = make("form", { className: "bar filter" }, [
    make("label", { htmlFor: id, textContent: "Filter" }),
    make("div", { className: "grow" }, [input, list]),
    make("button", { type: "submit", textContent: "Apply" }),
    button("Clear", "Remove the filter", () => apply("")),
  ]);
  let chosen = -1;
  let place = { start: 0, end: 0 }; // of what the listed words replace

  function apply(text) {
    close();
    input.dataset.shown = text; // what is typed while the answer is made stays
    send("filter", { text });
  }
  function close() {
    list.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }
  function mark(number) {
    const options = [...list.children];
    chosen = options.length ? (number + options.length) % options.length : -1;
    options.forEach((option, i) => option.setAttribute("aria-selected", String(i === chosen)));
    if (chosen >= 0) {
      input.setAttribute("aria-activedescendant", options[chosen].id);
      options[chosen].scrollIntoView({ block: "nearest" });
    }
  }
  function take(word) {
    input.setRangeText(`${word} `, place.start, place.end, "end");
    input.focus();
    ask();
  }
  function ask() {
    close(); // the words are those of another text
    send("complete", { text: input.value, position: input.selectionStart });
  }

  form.onsubmit = (event) => {
    event.preventDefault();
    apply(input.value);
  };
  input.oninput = ask;
  input.onblur = () => setTimeout(close, 200); // after a click on a word
  input.onkeydown = (event) => {
    if (event.key === "ArrowDown" && list.hidden) ask();
    else if (event.key === "ArrowDown") mark(chosen + 1);
    else if (event.key === "ArrowUp" && !list.hidden) mark(chosen - 1);
    else if (event.key === "Escape" && !list.hidden) close();
    else if (["Enter", "Tab"].includes(event.key) && chosen >= 0) take(list.children[chosen].textContent);
    else return;
    event.preventDefault();
  };

  const update = () => {
    const { filter } = model.get("state");
    const { text, reason, position, end } = model.get("error");
    const shown = reason ? text : filter;
    if (document.activeElement !== input || input.dataset.shown !== shown) input.value = shown;
    input.dataset.shown = shown;
    input.setAttribute("aria-invalid", String(Boolean(reason)));
    error.textContent = reason;
    if (reason && input.value === text && document.activeElement === input) input.setSelectionRange(position, end);
  };
  const showWords = () => {
    const { text, words, start, end } = model.get("completion");
    if (text !== input.value || document.activeElement !== input) return;
    place = { start, end };
    list.replaceChildren(
      ...words.map((word, i) =>
        make("li", {
          role: "option", id: `${id}-${i}`, textContent: word, "aria-selected": "false",
          onmousedown: (event) => {
            event.preventDefault();
            take(word);
          },
        }),
      ),
    );
    chosen = -1;
    list.hidden = !words.length;
    input.setAttribute("aria-expanded", String(Boolean(words.length)));
  };
  model.on("change:completion", showWords);
  const stop = () => model.off("change:completion", showWords);
  return { element: make("div", {}, [form, error]), traits: ["state", "error"], update, stop };
}

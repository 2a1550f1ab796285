// HTML without markup from data: text is set as text, never parsed.

/** Make an element with properties and children; strings become text. */
export function make(tag, properties = {}, children = []) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "scope") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** Make a button that calls a function. */
export function button(label, title, onclick) {
  return make("button", { type: "button", textContent: label, title, onclick });
}

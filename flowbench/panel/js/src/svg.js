// SVG elements; text from data is set as text.

const NAMESPACE = "http://www.w3.org/2000/svg";

/** Make an SVG element with attributes and children; strings become text. */
export function draw(tag, attributes = {}, children = []) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Shorten a text that is in the page to a width in pixels; the whole of it is its title. */
export function shortenText(element, width) {
  const whole = element.textContent;
  if (element.getComputedTextLength() <= width) return;
  for (let length = whole.length - 1; length > 0; length -= 1) {
    element.textContent = `${whole.slice(0, length).replace(/[\s…]+$/u, "")}…`;
    if (element.getComputedTextLength() <= width) break;
  }
  element.append(draw("title", {}, [whole]));
}

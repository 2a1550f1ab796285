// SVG elements; text from data is set as text.

const NAMESPACE = "http://www.w3.org/2000/svg";

/** Make an SVG element with attributes and children; strings become text. */
export function draw(tag, attributes = {}, children = []) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

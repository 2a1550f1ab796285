// The label at the pointer: plain lines, kept inside the drawing.

/** Show lines at a place in the stage. */
export function showTip(tip, lines, x, y) {
  const stage = tip.parentElement;
  tip.textContent = lines.join("\n");
  tip.hidden = false;
  const left = Math.min(x + 14, Math.max(0, stage.clientWidth - tip.offsetWidth - 4));
  const above = y + 14 + tip.offsetHeight > stage.clientHeight;
  tip.style.left = `${left}px`;
  tip.style.top = `${above ? Math.max(0, y - tip.offsetHeight - 14) : y + 14}px`;
}

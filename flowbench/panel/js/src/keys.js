// The keyboard: arrows go to the nearest node in a direction, Page Up and Page Down through all.

const DIRECTIONS = {
  ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1],
};
const STEPS = { PageDown: 1, PageUp: -1 };

/** Return the id of the node to which a key leads from another one, or undefined. */
export function nodeByKey(key, cy, selected) {
  const nodes = cy.nodes().toArray();
  const from = nodes.find((node) => node.id() === selected);
  if (key === "Home" || (!from && (DIRECTIONS[key] || STEPS[key]))) return nodes[0]?.id();
  if (key === "End") return nodes.at(-1)?.id();
  if (STEPS[key]) {
    const next = nodes.indexOf(from) + STEPS[key];
    return nodes[(next + nodes.length) % nodes.length].id();
  }
  return DIRECTIONS[key] && nearest(nodes, from, DIRECTIONS[key])?.id();
}

/** The nearest node in a direction; what lies aside counts as twice as far. */
function nearest(nodes, from, [dx, dy]) {
  const start = from.position();
  let best;
  let least = Infinity;
  for (const node of nodes) {
    const x = node.position().x - start.x;
    const y = node.position().y - start.y;
    const ahead = x * dx + y * dy;
    const aside = Math.abs(x * dy) + Math.abs(y * dx);
    if (node !== from && ahead > 0 && ahead >= aside / 2 && ahead + 2 * aside < least) {
      least = ahead + 2 * aside;
      best = node;
    }
  }
  return best;
}

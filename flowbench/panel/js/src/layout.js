// Positions of new nodes. The simulation has no random numbers and runs to its end before anything
// is drawn: equal graphs look equal, and no node moves under the pointer.

import {
  forceCollide, forceLink, forceManyBody, forceSimulation, forceX, forceY,
} from "d3-force";

const STRETCH = 1.9; // labels are wider than high: so is the room of a node
const ROOM = 34; // radius that a node has for itself
const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5));

/**
 * Return the position [x, y] of each node that has none in `known`; the others stay where they are.
 *
 * @param {{id: string}[]} nodes
 * @param {{source: string, target: string}[]} edges
 * @param {Object<string, number[]>} known
 */
export function placeNodes(nodes, edges, known) {
  const neighbours = new Map(nodes.map(({ id }) => [id, []]));
  for (const { source, target } of edges) {
    neighbours.get(source).push(target);
    neighbours.get(target).push(source);
  }
  const points = startPoints(nodes, neighbours, known);
  const isAlone = ({ id }) => neighbours.get(id).length === 0; // would be driven far away
  const links = edges.map(({ source, target }) => ({ source, target }));
  forceSimulation(points)
    .force("link", forceLink(links).id(({ id }) => id).distance(90))
    .force("charge", forceManyBody().strength((node) => (isAlone(node) ? -60 : -220)).distanceMax(700))
    .force("collide", forceCollide(ROOM).iterations(2))
    .force("x", forceX().strength((node) => (isAlone(node) ? 0.2 : 0.03)))
    .force("y", forceY().strength((node) => (isAlone(node) ? 0.2 : 0.05)))
    .stop()
    .tick(points.length > 300 ? 120 : 300);
  const placed = {};
  for (const { id, x, y } of points) {
    if (!known[id]) placed[id] = [Math.round(x * STRETCH), Math.round(y)];
  }
  return placed;
}

/** Where the simulation begins: known nodes fixed, each new one near a neighbour that has a place. */
function startPoints(nodes, neighbours, known) {
  const at = new Map();
  for (const { id } of nodes) {
    if (known[id]) at.set(id, [known[id][0] / STRETCH, known[id][1]]);
  }
  const points = [];
  const counts = new Map();
  for (const { id } of nodes) {
    if (known[id]) {
      const [x, y] = at.get(id);
      points.push({ id, x, y, fx: x, fy: y });
      continue;
    }
    const anchor = neighbours.get(id).find((other) => at.has(other));
    const [x0, y0] = anchor === undefined ? [0, 0] : at.get(anchor);
    const number = (counts.get(anchor) ?? 0) + 1;
    counts.set(anchor, number);
    const radius = ROOM * Math.sqrt(number);
    const x = x0 + radius * Math.cos(number * GOLDEN_ANGLE);
    const y = y0 + radius * Math.sin(number * GOLDEN_ANGLE);
    at.set(id, [x, y]);
    points.push({ id, x, y });
  }
  return points;
}

// The tables beside the figure: for those who cannot see it, and for exact numbers.

import { make } from "./dom.js";

/**
 * Show rows under column names. A row's first cell is a button that selects it.
 *
 * @param {HTMLElement} parent is emptied first
 * @param {{columns: string[], rows: {id: string, cells: string[]}[], caption: string}} table
 * @param {(id: string) => void} select
 */
export function showTable(parent, { columns, rows, caption }, select) {
  const head = columns.map((name) => make("th", { scope: "col", textContent: name }));
  const body = rows.map(({ id, cells }) => {
    const [first, ...others] = cells;
    const choose = make("button", { type: "button", textContent: first, onclick: () => select(id) });
    const row = make("tr", {}, [
      make("th", { scope: "row" }, [choose]),
      ...others.map((text) => make("td", { textContent: text })),
    ]);
    row.dataset.id = id;
    return row;
  });
  parent.replaceChildren(
    make("table", {}, [
      make("caption", { textContent: caption }),
      make("thead", {}, [make("tr", {}, head)]),
      make("tbody", {}, body),
    ]),
  );
}

/** Mark the row of what is selected. */
export function markRow(parent, id) {
  for (const row of parent.querySelectorAll("tbody tr")) {
    if (row.dataset.id === id) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

// Activity over the whole case with a brush: by pointer, or by two sliders for the keyboard.

import { button, make } from "./dom.js";
import { draw } from "./svg.js";

const WIDTH = 1000;
const HEIGHT = 110;

export function activity(model, send) {
  const heading = make("h4");
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const sliders = ["From", "Until"].map((label) => {
    const slider = make("input", { type: "range", min: 0, step: 1, "aria-label": `${label} (UTC)` });
    slider.onchange = () => choose(Number(sliders[0].value), Number(sliders[1].value));
    slider.oninput = () => shade(Number(sliders[0].value), Number(sliders[1].value));
    return slider;
  });
  const all = button("Whole case", "Remove the period", () => send("brush", { since: null, until: null }));
  const text = make("span", { className: "faint" });
  const list = make("table");
  const element = make("section", { className: "activity" }, [
    heading, svg,
    make("div", { className: "bar" }, [
      make("label", { className: "slider" }, ["From ", sliders[0]]),
      make("label", { className: "slider" }, ["Until ", sliders[1]]),
      all,
      text,
    ]),
    make("details", {}, [make("summary", { textContent: "Activity as a table" }), make("div", { className: "scroll" }, [list])]),
  ]);
  let periods = [];
  let brush = null;
  let start = null;

  function shade(first, until) {
    const [low, high] = [Math.min(first, until), Math.max(first, until)];
    const step = WIDTH / Math.max(1, periods.length);
    brush?.remove();
    if (low > 0 || high < periods.length) {
      brush = draw("rect", { class: "brush", x: low * step, width: (high - low) * step, y: 0, height: HEIGHT });
      svg.append(brush);
    }
    const end = periods[high - 1];
    text.textContent = end && low < high ? `${periods[low].label} to ${end.end} UTC` : "";
  }
  function choose(first, until) {
    const [low, high] = [Math.min(first, until), Math.max(first, until)];
    if (low === high || (low === 0 && high === periods.length)) send("brush", { since: null, until: null });
    else send("brush", { since: low, until: high });
  }
  const place = (event, round) => {
    const { left, width } = svg.getBoundingClientRect();
    const at = ((event.clientX - left) / width) * periods.length;
    return Math.max(0, Math.min(periods.length, round(at)));
  };
  svg.onpointerdown = (event) => {
    start = event;
    svg.setPointerCapture(event.pointerId);
  };
  svg.onpointermove = (event) => {
    if (start) shade(...bounds(event));
  };
  svg.onpointerup = (event) => {
    if (start) choose(...bounds(event));
    start = null;
  };
  svg.onpointercancel = () => (start = null);
  const bounds = (event) => {
    const [left, right] = start.clientX <= event.clientX ? [start, event] : [event, start];
    return [place(left, Math.floor), place(right, Math.ceil)];
  };

  const update = () => {
    const { title, rows, first, until } = model.get("activity");
    periods = rows;
    heading.textContent = title;
    const most = Math.max(1, ...rows.map(({ value }) => value));
    const step = WIDTH / Math.max(1, rows.length);
    const columns = rows.flatMap(({ value, rejected, label, text: amount }, i) => {
      // A period with little is still seen: a twentieth of the height at least.
      const height = (part) => (part ? Math.max(HEIGHT / 20, (HEIGHT * part) / most) : 0);
      const box = { x: i * step, width: Math.max(1, step - 1) };
      const whole = draw("rect", { ...box, class: "value", y: HEIGHT - height(value), height: height(value) });
      whole.append(draw("title", {}, [`${label} UTC: ${amount}`]));
      const some = draw("rect", { ...box, class: "rejected", y: HEIGHT - height(rejected), height: height(rejected) });
      return rejected ? [whole, some] : [whole];
    });
    svg.replaceChildren(...columns);
    for (const [slider, value] of [[sliders[0], first], [sliders[1], until]]) {
      slider.max = rows.length;
      slider.value = value;
    }
    shade(first, until);
    list.replaceChildren(
      ...rows.map(({ label, text: amount }) =>
        make("tr", {}, [make("th", { scope: "row", textContent: `${label} UTC` }), make("td", { textContent: amount })]),
      ),
    );
  };
  return { element, traits: ["activity"], update };
}

// A time axis in UTC: where its ticks are, and what they say.

const MINUTE = 60_000;
const STEPS = [1, 5, 15, 60, 180, 360, 720, 1440, 2880, 10080, 43200, 129600, 525600];

/** Return the times of at most `most` ticks between two times, in ms; at least one step apart. */
export function ticks(first, last, most) {
  const step = MINUTE * (STEPS.find((s) => (last - first) / (s * MINUTE) <= most) ?? STEPS.at(-1));
  const times = [];
  for (let time = Math.ceil(first / step) * step; time <= last; time += step) times.push(time);
  return times;
}

/** Return the two lines of a tick: time and date. */
export function tickLines(time) {
  const [date, clock] = new Date(time).toISOString().split("T");
  return [clock.slice(0, 5), date];
}

/** Numbers and times as people read them, in the browser's language and time zone. */

const plain = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 5 });
const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });

/** A value with five significant digits; large and small ones as 1.2e+9. */
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e9 || (size > 0 && size < 1e-4)) return value.toExponential(3);
  return size >= 1e5 ? whole.format(value) : plain.format(value);
}

/** A count with all its digits. */
export const count = (value) => (value === null || value === undefined ? "–" : whole.format(value));

/** How long ago, in one unit: 4 s, 3 min, 5 h, 2 d. */
export function age(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

/** A duration such as 10s or 1h30m with spaces: 10 s, 1 h 30 m. */
export const spaced = (text) => text.replaceAll(/(?<=\d)(?=[a-z])|(?<=[a-z])(?=\d)/g, " ");

const clock = (options) => new Intl.DateTimeFormat(undefined, { hourCycle: "h23", ...options });
const day = clock({ day: "numeric", month: "short" });
const minute = clock({ hour: "2-digit", minute: "2-digit" });
const second = clock({ hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** A time of day, with the date where it is not today's. */
export function timeText(ms) {
  const date = new Date(ms);
  const today = date.toDateString() === new Date().toDateString();
  return (today ? "" : `${day.format(date)} `) + second.format(date);
}

/** The browser's time zone as its offset, such as GMT+1, in which all times are. */
export const zone = () =>
  clock({ timeZoneName: "shortOffset" })
    .formatToParts(new Date())
    .find((part) => part.type === "timeZoneName").value;

/** The labels of a plot's axis of times, in seconds; midnight is the date. */
export function timeLabels(_plot, splits, _axis, _space, step) {
  let shown = "";
  return splits.map((split) => {
    const date = new Date(split * 1000);
    const of = day.format(date);
    if (step >= 86_400) return of;
    const text = (step < 60 ? second : minute).format(date);
    const midnight = date.getHours() === 0 && date.getMinutes() === 0 && of !== shown;
    shown = of;
    return midnight ? of : text;
  });
}

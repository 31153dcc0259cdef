/** What is plotted: the buckets of one facility, by sensor. No page, no network. */

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** Milliseconds of a duration such as `10s`, `1h30m` or `500ms`. */
export function durationMs(text) {
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)) {
    sum += Number(number) * UNITS[unit];
  }
  return sum;
}

/** The buckets of a facility, each of `everyMs` milliseconds. */
export class Series {
  #sensors = new Map();

  constructor(everyMs) {
    this.everyMs = everyMs;
  }

  /** Add rows of /api/series. */
  take(rows) {
    for (const row of rows) this.#put(row.sensor, { ...row, time: Date.parse(row.time) });
  }

  /** Add a window of /api/live; false if buckets are longer, so that they must be read again. */
  takeWindow(item) {
    const time = Date.parse(item.window.start_time);
    if (Date.parse(item.window.end_time) - time !== this.everyMs) return false;
    for (const key of Object.keys(item)) {
      if (!key.startsWith("count_")) continue;
      const sensor = key.slice("count_".length);
      const of = (name) => item[`${name}_${sensor}`];
      const { complete } = item;
      const [avg, min, max, count] = ["avg", "min", "max", "count"].map(of);
      this.#put(sensor, { time, avg, min, max, count, complete });
    }
    return true;
  }

  /** Forget what does not begin in `fromMs <= time < toMs`. */
  trim(fromMs, toMs) {
    for (const rows of this.#sensors.values()) {
      for (const time of rows.keys()) if (time < fromMs || time >= toMs) rows.delete(time);
    }
  }

  /** When the oldest bucket begins that is not complete; the end of the newest if all are. */
  openSince(otherwise) {
    let [open, end] = [Infinity, 0];
    for (const rows of this.#sensors.values()) {
      for (const row of rows.values()) {
        if (!row.complete) open = Math.min(open, row.time);
        end = Math.max(end, row.time + this.everyMs);
      }
    }
    return Math.min(open, end || otherwise);
  }

  /** When the first bucket begins and the last one ends; null without any. */
  span() {
    const times = [...this.#sensors.values()].flatMap((rows) => [...rows.keys()]);
    if (!times.length) return null;
    const ends = times.reduce(([a, b], ms) => [Math.min(a, ms), Math.max(b, ms)], [Infinity, 0]);
    return [ends[0], ends[1] + this.everyMs];
  }

  /** Rows of a sensor by time. */
  rows(sensor) {
    return [...(this.#sensors.get(sensor)?.values() ?? [])].sort((a, b) => a.time - b.time);
  }

  /**
   * Columns for uPlot: seconds, average of complete buckets, of others (with the bucket before, so
   * that a line leads there), min and max. A missing bucket is null in all of them.
   */
  columns(sensor) {
    const [times, whole, open, low, high] = [[], [], [], [], []];
    const add = (ms, avg, isOpen, min, max) => {
      times.push(ms / 1000);
      whole.push(isOpen ? null : avg);
      open.push(isOpen ? avg : null);
      low.push(min);
      high.push(max);
    };
    let before = null;
    for (const row of this.rows(sensor)) {
      if (before && row.time - before.time > this.everyMs) {
        add(before.time + this.everyMs, null, false, null, null);
      } else if (before?.complete && !row.complete) {
        open[open.length - 1] = before.avg;
      }
      add(row.time, row.avg, !row.complete, row.min, row.max);
      before = row;
    }
    return [times, whole, open, low, high];
  }

  // readings are only ever added to a window: of two answers the one with more is the newer
  #put(sensor, row) {
    if (!this.#sensors.has(sensor)) this.#sensors.set(sensor, new Map());
    const rows = this.#sensors.get(sensor);
    const known = rows.get(row.time);
    if (!known || row.count > known.count || (row.count === known.count && !known.complete)) {
      rows.set(row.time, row);
    }
  }
}

/** Least, greatest, mean and newest value of rows; null without any. */
export function summary(rows) {
  if (!rows.length) return null;
  const count = rows.reduce((sum, row) => sum + row.count, 0);
  return {
    last: rows.at(-1),
    min: rows.reduce((least, row) => Math.min(least, row.min), Infinity),
    max: rows.reduce((most, row) => Math.max(most, row.max), -Infinity),
    avg: rows.reduce((sum, row) => sum + (row.avg * row.count) / count, 0),
    count,
  };
}

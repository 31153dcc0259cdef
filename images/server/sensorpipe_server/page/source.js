/** The buckets of one facility and one range: read once, then kept up with what is stored. */

import { Live } from "./live.js";
import { address, request, serverNow } from "./request.js";
import { Series, durationMs } from "./series.js";

const POLLS = 12; // of so many one reads the whole range, where late readings may have changed it

export class Source {
  #stopped = new AbortController();
  #etag = "";
  #polls = 0;
  #dueMs = Infinity; // buckets from this time on are to be read again

  /**
   * `query` has facility and sensors; `time` has a range that ends now, such as 1h, or as zoom two
   * times in milliseconds; `on` has changed() and status(name, error) of Live.
   */
  constructor(query, time, points, on) {
    this.query = query;
    this.time = time;
    this.points = points;
    this.on = on;
    this.series = new Series(0);
    this.units = {};
    this.every = "";
    this.newestMs = 0;
    this.live = new Live(address("api/live", query), {
      open: () => (this.every ? this.#readNewest() : this.#readAll()),
      poll: () => (++this.#polls % POLLS ? this.#readNewest() : this.#readAll()),
      event: (type, data) => this.#onEvent(type, data),
      status: on.status,
    });
  }

  run() {
    return this.live.run();
  }

  stop() {
    this.#stopped.abort();
    this.live.stop();
  }

  /** The plotted time, in milliseconds. */
  get span() {
    const now = serverNow();
    return this.time.zoom ?? [now - durationMs(this.time.range), now];
  }

  /** What is plotted: an address of /api/series for exactly these buckets, in a format. */
  address(format) {
    const [from, to] = (this.series.span() ?? this.span).map(isoTime);
    return address("api/series", { ...this.query, from, to, every: this.every, format });
  }

  /** Move on with time: what left the range goes, and buckets that may be complete are read. */
  async tick() {
    const ended = this.series.openSince(Infinity) + this.series.everyMs < serverNow();
    if (this.every && (ended || this.#dueMs < Infinity)) await this.#readNewest();
  }

  async #onEvent(type, data) {
    if (type === "gap") await this.#readAll();
    if (type !== "window") return;
    const { start_time: start, end_time: end } = data.window;
    this.newestMs = Math.max(this.newestMs, Date.parse(end));
    if (!this.series.takeWindow(data)) {
      const time = Date.parse(start);
      this.#dueMs = Math.min(this.#dueMs, time - (time % this.series.everyMs));
    }
    this.#changed();
  }

  async #readAll() {
    const { range, zoom } = this.time;
    const [from, to] = zoom?.map(isoTime) ?? [`-${range}`];
    const query = { from, to, every: "auto", points: this.points };
    const answer = await (await this.#read(query)).json();
    this.every = answer.every;
    this.units = answer.units ?? {};
    this.series = new Series(durationMs(answer.every));
    this.#take(answer);
  }

  /** Read from the oldest bucket on that was not complete, or that changed since. */
  async #readNewest() {
    const dueMs = Math.min(this.series.openSince(this.span[0]), this.#dueMs);
    this.#dueMs = Infinity;
    if (this.time.zoom && dueMs >= this.time.zoom[1]) return;
    const headers = this.#etag ? { "If-None-Match": this.#etag } : {};
    const query = { from: isoTime(dueMs), to: this.time.zoom && isoTime(this.time.zoom[1]) };
    const answer = await this.#read({ ...query, every: this.every }, headers).catch((error) => {
      this.#dueMs = Math.min(this.#dueMs, dueMs);
      throw error;
    });
    if (answer.status === 304) return;
    this.#etag = answer.headers.get("ETag") ?? "";
    this.#take(await answer.json());
  }

  #read(parameters, headers) {
    const url = address("api/series", { ...this.query, ...parameters });
    return request(url, { headers, signal: this.#stopped.signal });
  }

  #take({ data, every }) {
    if (every !== this.every) return; // of before the range was read anew
    this.series.take(data);
    this.#changed();
  }

  #changed() {
    const [from, to] = this.span;
    // the bucket in which the range begins stays, and one that begins ahead by this clock
    this.series.trim(from - this.series.everyMs, this.time.zoom ? to : Infinity);
    this.on.changed();
  }
}

const isoTime = (ms) => new Date(ms).toISOString();

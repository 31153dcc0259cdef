/** The windows of a facility as they are stored: server-sent events, or polling without them. */

import { pause, request } from "./request.js";

const LONGEST_WAIT_MS = 30_000;
const POLL_MS = 5_000;
const SILENT_MS = 45_000; // three heartbeats

/**
 * Return a function that takes pieces of an event stream and yields its complete events; one that
 * only has an id says how far the stream is.
 */
export function eventParser() {
  let rest = "";
  let event = { type: "message", data: [] };
  let id = "";
  const field = (line) => {
    const [, name, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
    if (name === "event") event.type = value ?? "";
    else if (name === "data") event.data.push(value ?? "");
    else if (name === "id") {
      id = value ?? "";
      event.moved = true;
    } else if (name === "retry" && /^\d+$/.test(value)) event.retry = Number(value);
  };
  return function* feed(text) {
    // a CR at the end may be half of a CRLF
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line) {
        field(line);
        continue;
      }
      const { type, data, retry, moved } = event;
      event = { type: "message", data: [] };
      if (data.length || retry || moved) yield { type, data: data.join("\n"), id, retry };
    }
  };
}

/**
 * Follows one facility until stopped. `on` has: open() once the server answers, a promise;
 * event(type, data) for each event; poll(), a promise, where the server has no events;
 * status(name, error): `live`, `polling`, or `away` with what failed.
 */
export class Live {
  #lastId = "";
  #stopped = new AbortController();
  #retryMs = 2_000;
  #failures = 0;

  constructor(url, on) {
    this.url = url;
    this.on = on;
  }

  stop() {
    this.#stopped.abort();
  }

  async run() {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      let waitMs = this.#retryMs;
      try {
        await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) return;
        waitMs = error.retryMs || Math.min(this.#retryMs * 2 ** this.#failures, LONGEST_WAIT_MS);
        this.#failures += 1;
        this.on.status("away", error);
      }
      // not all pages at once after a restart of the server
      await pause(waitMs * (0.75 + Math.random() / 2), signal);
    }
  }

  async #follow(signal) {
    const headers = { Accept: "text/event-stream" };
    if (this.#lastId) headers["Last-Event-ID"] = this.#lastId;
    const silent = new AbortController();
    let timer = setTimeout(() => silent.abort(), SILENT_MS);
    try {
      const both = AbortSignal.any([signal, silent.signal]);
      const answer = await request(this.url, { headers, signal: both, seconds: 0 });
      await this.on.open();
      this.#failures = 0;
      this.on.status("live");
      const parse = eventParser();
      for await (const text of pieces(answer.body)) {
        clearTimeout(timer);
        timer = setTimeout(() => silent.abort(), SILENT_MS);
        for (const event of parse(text)) await this.#take(event);
      }
      throw new Error("the stream ended");
    } catch (error) {
      if (error.status !== 501) throw error;
      await this.#poll(signal);
    } finally {
      clearTimeout(timer);
    }
  }

  async #take({ type, data, id, retry }) {
    if (retry) this.#retryMs = retry;
    if (data) await this.on.event(type, JSON.parse(data));
    if (id) this.#lastId = id;
  }

  async #poll(signal) {
    await this.on.open();
    while (!signal.aborted) {
      this.#failures = 0;
      this.on.status("polling");
      await pause(POLL_MS, signal);
      if (!signal.aborted) await this.on.poll();
    }
  }
}

async function* pieces(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

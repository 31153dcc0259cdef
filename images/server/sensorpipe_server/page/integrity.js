/** Whether every reading of the facility was counted exactly once. */

import { element, find, say } from "./dom.js";
import { address, pause, reason, request } from "./request.js";
import { count, timeText } from "./format.js";

const PERIOD_MS = 10_000;
const SHARE = 20; // the server is busy with it for at most one twentieth of the time

/** What an answer means, in a few words, and whether it is `good`, `bad` or `none`. */
export function verdict({ totals, set_aside: aside }) {
  if (!totals.count && !totals.unidentified) return ["none", "No readings stored yet"];
  const faults = [
    [totals.lost, "lost"],
    [totals.duplicates, "duplicate"],
    [totals.unreadable, "unreadable"],
  ].filter(([number]) => number);
  if (aside.refused) faults.push([aside.refused, "refused partials"]);
  if (faults.length) {
    const named = faults.map(([number, name]) => `${count(number)} ${name}`).join(", ");
    return ["bad", `Not every reading is stored exactly once: ${named}`];
  }
  if (!totals.count) return ["none", "Readings have no src and seq, so none can be checked"];
  return ["good", "Every reading is stored exactly once"];
}

/** Names, values and meanings of what is shown; true at the end of what should be 0. */
function figures({ totals, set_aside: aside }) {
  return [
    ["stored", totals.count, "readings stored, each once"],
    ["lost", totals.lost, "missing below the highest seq of their source", true],
    ["duplicates", totals.duplicates, "stored more than once", true],
    ["pending", totals.pending, "missing, but possibly in a window that is still open"],
    ["unidentified", totals.unidentified, "readings without src and seq, which cannot be checked"],
    ["removed", totals.removed, "removed by retention; not lost"],
    ["unreadable", totals.unreadable, "stored documents that cannot be read", true],
    ["dead letters", aside.dead_letters, "messages that are not readings, of all facilities", true],
    ["refused", aside.refused, "partials that could not be stored, of all facilities", true],
    ["fenced", aside.fenced, "partials of replaced compactors, of all facilities"],
  ].filter(([name, value]) => value || !["unidentified", "removed", "unreadable"].includes(name));
}

export class Integrity {
  #stopped = new AbortController();
  #now = () => {};
  #tell;

  /** `tell` is called with what is set aside of each answer. */
  constructor(tell) {
    this.#tell = tell;
    find("check").addEventListener("click", () => this.#now());
  }

  stop() {
    this.#stopped.abort();
  }

  /** Check a facility now and again until stopped, never more often than each 10 s by itself. */
  async follow(facility) {
    this.stop();
    this.#stopped = new AbortController();
    const { signal } = this.#stopped;
    if (find("integrity").dataset.facility !== facility) this.#clear(facility);
    while (!signal.aborted) {
      const began = performance.now();
      let retryMs = 0;
      find("check").disabled = true;
      try {
        const url = address("api/integrity", { facility });
        this.#show(await (await request(url, { signal, seconds: 60 })).json());
      } catch (error) {
        if (signal.aborted) return;
        retryMs = error.retryMs ?? 0;
        say(find("checked"), `Not checked: ${reason(error)}`);
      }
      find("check").disabled = false;
      const waitMs = Math.max(PERIOD_MS, retryMs, SHARE * (performance.now() - began));
      await Promise.race([pause(waitMs, signal), new Promise((done) => (this.#now = done))]);
    }
  }

  /** Look where there is no facility yet: perhaps nothing but dead letters comes in. */
  async look(signal) {
    try {
      this.#tell((await (await request(address("api/integrity"), { signal })).json()).set_aside);
    } catch {
      // the list of facilities, which is read as often, says what is wrong
    }
  }

  #clear(facility) {
    find("integrity").dataset.facility = facility;
    find("verdict").dataset.verdict = "none";
    say(find("verdict"), "Checking");
    say(find("checked"), "");
    find("figures").replaceChildren();
  }

  #show(answer) {
    const [kind, text] = verdict(answer);
    this.#tell(answer.set_aside);
    find("verdict").dataset.verdict = kind;
    say(find("verdict"), text);
    say(find("checked"), `Checked at ${timeText(Date.now())}`);
    const cells = figures(answer).map(([name, value, meaning, fault]) => {
      const term = element("dt", { title: meaning }, name);
      const number = element("dd", { className: fault && value ? "fault" : "" }, count(value));
      return element("div", {}, term, number);
    });
    find("figures").replaceChildren(...cells);
  }
}

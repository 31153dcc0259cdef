/** The newest dead letters, in a table that is read when it is opened. */

import { element, find, say } from "./dom.js";
import { count, timeText } from "./format.js";
import { address, reason, request } from "./request.js";

const PAYLOAD = 300; // characters shown of a payload

/** Text of messages: what cannot be seen, or would reorder other text, as escapes. */
export const visible = (text) =>
  text.replaceAll(/\p{C}/gu, (each) => `\\u{${each.codePointAt(0).toString(16)}}`);

function row({ at, topic, reason, detail, what_to_do: hint, payload, payload_encoding: encoding }) {
  const shown = payload.length > PAYLOAD ? `${payload.slice(0, PAYLOAD)}…` : payload;
  const form = encoding === "base64" ? "base64 " : "";
  const wrong = element("td", {}, element("p", {}, visible(detail)), element("p", { className: "hint" }, hint));
  if (shown) wrong.append(element("code", {}, form + visible(shown)));
  const cells = [timeText(Date.parse(at)), visible(topic), visible(reason)];
  return element("tr", {}, ...cells.map((text) => element("td", {}, text)), wrong);
}

export class DeadLetters {
  #number = 0;
  #newest = 0;

  constructor() {
    find("dead").addEventListener("toggle", () => this.#read());
  }

  /** Put the card where it is seen: above the plots, or where there is no facility yet. */
  place(facility) {
    if (facility) find("plots").before(find("dead"));
    else find("welcome").append(find("dead"));
  }

  /** Show that there are some, of the counts of `/api/integrity`; more are read if it is open. */
  know({ dead_letters: messages, refused }) {
    const number = (messages ?? 0) + (refused ?? 0);
    const is_new = number !== this.#number;
    this.#number = number;
    find("dead").hidden = !number;
    say(find("dead-count"), count(number));
    if (is_new) this.#read();
  }

  async #read() {
    if (!find("dead").open || !this.#number) return;
    const mine = (this.#newest += 1);
    try {
      const { data } = await (await request(address("api/dead-letters"))).json();
      if (mine !== this.#newest) return; // a later one was begun
      say(find("dead-note"), `The newest ${count(data.length)}, read at ${timeText(Date.now())}`);
      find("dead-rows").replaceChildren(...data.map(row));
    } catch (error) {
      say(find("dead-note"), `Not read: ${reason(error)}`);
    }
  }
}

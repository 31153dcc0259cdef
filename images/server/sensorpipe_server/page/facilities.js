/** The list of facilities, with search; links, so that each can be opened in a tab of its own. */

import { element, find, say } from "./dom.js";
import { address, request, serverNow } from "./request.js";
import { age } from "./format.js";

const SHOWN = 500;
const LATE_MS = 60_000;
const collator = new Intl.Collator(undefined, { numeric: true }); // hall_2 before hall_10

export class Facilities {
  #all = null;
  #etag = "";
  #chosen = "";

  /** `link(name)` is the address of a facility's view; `choose(name)` shows it. */
  constructor(link, choose) {
    this.link = link;
    this.list = find("facilities");
    this.search = find("search");
    this.search.addEventListener("input", () => this.#show());
    this.search.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      const first = this.#matching()[0];
      if (first) choose(first.facility_name);
    });
    this.list.addEventListener("click", (event) => {
      const name = event.target.closest("a")?.dataset.name;
      if (!name || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      choose(name);
    });
    find("side").addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** Read the list again; throws if the server does not answer. */
  async read(signal) {
    const headers = this.#etag ? { "If-None-Match": this.#etag } : {};
    const answer = await request(address("api/facilities"), { headers, signal });
    if (answer.status !== 304) {
      const { data } = await answer.json();
      this.#all = data.sort((a, b) => collator.compare(a.facility_name, b.facility_name));
      this.#etag = answer.headers.get("ETag") ?? "";
    }
    this.#show();
  }

  /** The names of all facilities; undefined until they were read. */
  get names() {
    return this.#all?.map((one) => one.facility_name);
  }

  of(name) {
    return this.#all?.find((one) => one.facility_name === name);
  }

  mark(name) {
    this.#chosen = name;
    this.#show();
    this.list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  }

  #matching() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (name) => words.every((word) => name.includes(word));
    return (this.#all ?? []).filter((one) => has(one.facility_name));
  }

  #show() {
    if (!this.#all) return;
    const found = this.#matching();
    const shown = found.slice(0, SHOWN);
    const focused = document.activeElement?.dataset?.name;
    this.list.replaceChildren(...shown.map((one) => this.#item(one)));
    if (focused) this.list.querySelector(`a[data-name="${CSS.escape(focused)}"]`)?.focus();
    const more = found.length - shown.length;
    const searched = this.search.value.trim() ? `${found.length} of ` : "";
    say(find("found"), `${searched}${this.#all.length}${more ? `, first ${SHOWN} shown` : ""}`);
    find("none").hidden = found.length > 0;
    say(find("none"), this.#all.length ? "None has this name." : "No readings are stored yet.");
  }

  #item({ facility_name: name, last_window: last }) {
    const lagMs = serverNow() - Date.parse(last.end_time);
    const lag = element("span", { className: lagMs > LATE_MS ? "age late" : "age" }, age(lagMs));
    lag.title = `newest window ended ${age(lagMs)} ago`;
    const link = element("a", { href: this.link(name) }, element("span", {}, name), lag);
    link.dataset.name = name;
    if (name === this.#chosen) link.setAttribute("aria-current", "page");
    return element("li", {}, link);
  }

  /** Arrow keys go from the search to the list and through it. */
  #onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const stops = [this.search, ...this.list.querySelectorAll("a")];
    const at = stops.indexOf(document.activeElement);
    if (at < 0) return;
    event.preventDefault();
    stops[Math.min(stops.length - 1, Math.max(0, at + step))].focus();
  }
}

/** One plot: the average of a sensor as a line within the band from its minimum to its maximum. */

import { element, say } from "./dom.js";
import { HEIGHT, options } from "./drawing.js";
import { count, number, timeText } from "./format.js";
import { summary } from "./series.js";

const LEAST_WIDTH = 8; // pixels that are dragged on purpose
const LINES = 6; // the colours --line-0 to --line-5

export class Chart {
  #plot = null;
  #rows = [];
  #span = [0, 1];

  /** `zoom(fromMs, toMs)` is told of a time that was chosen, with nothing of the way back. */
  constructor(sensor, number_, zoom) {
    this.sensor = sensor;
    this.zoom = zoom;
    this.colour = `--line-${number_ % LINES}`;
    this.unit = element("span", { className: "unit" });
    this.value = element("p", { className: "value" });
    this.area = element("div", { className: "area", tabIndex: 0, role: "slider" });
    this.area.setAttribute("aria-label", `${sensor} by time: arrow keys read values`);
    this.summary = element("p", { className: "summary" });
    const title = element("h3", {}, sensor, " ", this.unit);
    const head = element("header", {}, title, this.value);
    this.root = element("article", { className: "card" }, head, this.area, this.summary);
    this.root.setAttribute("aria-label", sensor);
    this.area.addEventListener("keydown", (event) => this.#onKey(event));
    this.area.addEventListener("dblclick", () => this.zoom());
    this.area.addEventListener("blur", () => this.#plot?.setCursor({ left: -10, top: -10 }, true, true));
    this.sizes = new ResizeObserver(() => this.#resize());
    this.sizes.observe(this.area);
  }

  /** Show a sensor's buckets between two times in milliseconds. */
  show(series, [from, to], unit) {
    this.#rows = series.rows(this.sensor);
    this.#span = [from / 1000, to / 1000];
    say(this.unit, unit ?? "");
    const columns = series.columns(this.sensor);
    if (this.#plot) this.#plot.setData(columns);
    else this.#plot = new uPlot(this.#options(), columns, this.area);
    this.#tell();
  }

  redraw() {
    this.#plot?.redraw(false, true);
  }

  remove() {
    this.sizes.disconnect();
    this.#plot?.destroy();
    this.root.remove();
  }

  #options() {
    const hooks = {
      setCursor: [() => this.#tell()],
      setSelect: [(plot) => this.#onSelect(plot)],
    };
    return options(this.area.clientWidth || 300, this.colour, () => this.#span, hooks);
  }

  /** Say the values below the cursor, or else the newest ones; below the plot those of all. */
  #tell() {
    const all = summary(this.#rows);
    const at = this.#plot?.cursor.idx;
    const under = at === null || at === undefined ? null : this.#plot.data[0][at] * 1000;
    const row = under === null ? all?.last : this.#rows.find((one) => one.time === under);
    const unit = this.unit.textContent ? ` ${this.unit.textContent}` : "";
    const band = row ? `${number(row.min)} to ${number(row.max)}, ${count(row.count)} readings` : "";
    const open = row && !row.complete ? ", incomplete" : "";
    const value = element("strong", {}, row ? number(row.avg) + unit : "–");
    const when = row ? `${timeText(row.time)}${open}` : "no readings";
    this.value.replaceChildren(value, " ", element("span", { title: band }, when));
    this.value.classList.toggle("under", under !== null);
    const text = all
      ? `min ${number(all.min)}, avg ${number(all.avg)}, max ${number(all.max)}${unit}, ` +
        `${count(all.count)} readings`
      : "no readings in this range";
    say(this.summary, under === null || !row ? text : `${timeText(row.time)}: ${band}`);
    this.area.setAttribute("aria-valuemin", 0);
    this.area.setAttribute("aria-valuemax", Math.max(0, this.#rows.length - 1));
    this.area.setAttribute("aria-valuenow", row ? this.#rows.indexOf(row) : 0);
    const spoken = row ? `${when}: ${number(row.avg)}${unit}, ${band}` : when;
    this.area.setAttribute("aria-valuetext", under === null ? `last ${spoken}; ${text}` : spoken);
  }

  #onKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") this.zoom();
    if (!this.#plot || !this.#rows.length) return;
    const under = this.#plot.data[0][this.#plot.cursor.idx] * 1000;
    if (event.key === "+") {
      const quarter = ((this.#span[1] - this.#span[0]) * 1000) / 4;
      const middle = under || this.#rows.at(-1).time;
      this.zoom(middle - quarter, middle + quarter);
    }
    if (step === undefined) return;
    event.preventDefault();
    const last = this.#rows.length - 1;
    const now = this.#rows.findIndex((row) => row.time === under);
    const next = Math.min(last, Math.max(0, (now < 0 ? last + 1 : now) + step));
    const left = this.#plot.valToPos(this.#rows[next].time / 1000, "x");
    this.#plot.setCursor({ left, top: HEIGHT / 2 }, true, true);
  }

  #onSelect({ select: { left, width } }) {
    if (width < LEAST_WIDTH) return;
    this.#plot.setSelect({ left: 0, width: 0 }, false);
    this.zoom(...[left, left + width].map((x) => this.#plot.posToVal(x, "x") * 1000));
  }

  #resize() {
    if (this.#plot && this.area.clientWidth) {
      this.#plot.setSize({ width: this.area.clientWidth, height: HEIGHT });
    }
  }
}

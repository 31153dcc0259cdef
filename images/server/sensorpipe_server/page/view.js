/** What is shown of one facility: its plots, how old they are, and how to get their values. */

import { Chart } from "./chart.js";
import { find, say } from "./dom.js";
import { age, count, spaced, zone } from "./format.js";
import { curlLine, serverNow } from "./request.js";
import { Source } from "./source.js";

const PLOTS = 24; // at first, and with each "more"
const LATE_MS = 60_000;

export class View {
  #charts = new Map();
  #drawing = 0;
  #newestMs = 0;
  #focus = "";
  #plots = PLOTS;
  #sensors = [];
  #source = null;

  /** `time` is that of Source; `on` has status(name, error) of Live, and zoom(fromMs, toMs) of Chart. */
  constructor(facility, time, on, focused) {
    this.#focus = focused;
    this.facility = facility;
    this.time = time;
    this.on = on;
  }

  start() {
    this.#source?.stop();
    const points = Math.max(60, Math.min(1500, plotWidth()));
    const sensors = this.#sensors.length > this.#plots ? this.#shown.join() : "";
    const on = { changed: () => this.#redraw(), status: this.on.status };
    this.#source = new Source({ facility: this.facility, sensors }, this.time, points, on);
    this.#source.run();
  }

  /** Ask for nothing more, with what is there left on the screen. */
  halt() {
    this.#source?.stop();
  }

  stop() {
    this.halt();
    this.#source = null;
    cancelAnimationFrame(this.#drawing);
    for (const chart of this.#charts.values()) chart.remove();
    this.#charts.clear();
  }

  /** Tell which sensors the facility has, and when its newest window ended. */
  know(sensors, newestMs) {
    this.#newestMs = Math.max(this.#newestMs, newestMs);
    if (sensors.join() === this.#sensors.join()) return;
    this.#sensors = sensors;
    if (this.#source && sensors.length > this.#plots) this.start();
    else this.#redraw();
  }

  /** Show more plots. */
  more() {
    this.#plots += PLOTS;
    this.start();
  }

  /** Move on with time. */
  async tick() {
    try {
      await this.#source?.tick();
    } catch {
      // the connection's status says that the server is away
    }
    this.#redraw();
  }

  /** The line for a shell that gets what is plotted as CSV. */
  curl() {
    return curlLine(this.#source.address("csv"));
  }

  /** Values of parameters, for the examples of the API's operations. */
  examples() {
    const [sensor] = this.#sensors;
    return { facility: this.facility, ...(sensor ? { sensors: sensor } : {}), from: "-1h" };
  }

  /** The sensor whose plot has the focus of the keyboard, which the next view takes over. */
  get focused() {
    return [...this.#charts.values()].find((one) => one.area === document.activeElement)?.sensor;
  }

  recolour() {
    for (const chart of this.#charts.values()) chart.redraw();
  }

  /** Say how many sensors there are, how old the newest window is, and what a point means. */
  tell() {
    const newestMs = Math.max(this.#newestMs, this.#source?.newestMs ?? 0);
    const lagMs = serverNow() - newestMs;
    const number = this.#sensors.length;
    say(find("sensors"), `${count(number)} ${number === 1 ? "sensor" : "sensors"}`);
    say(find("lag"), newestMs ? `newest window ended ${age(lagMs)} ago` : "no window yet");
    find("lag").classList.toggle("late", lagMs > LATE_MS);
    say(find("every"), this.#source?.every ? `average of each ${spaced(this.#source.every)}, band from min to max, times in ${zone()}` : "");
  }

  get #shown() {
    return this.#sensors.slice(0, this.#plots);
  }

  /** Draw once before the next frame, however much changed. */
  #redraw() {
    cancelAnimationFrame(this.#drawing);
    this.#drawing = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    if (!this.#source?.every) return;
    const { series, span, units } = this.#source;
    for (const [number, sensor] of this.#shown.entries()) {
      if (!this.#charts.has(sensor)) this.#charts.set(sensor, this.#chart(sensor, number));
      this.#charts.get(sensor).show(series, span, units[sensor]);
    }
    find("empty").hidden = this.#shown.length > 0;
    find("more").hidden = this.#sensors.length <= this.#plots;
    find("csv").href = this.#source.address("spreadsheet");
    find("plots").setAttribute("aria-busy", "false");
    this.tell();
  }

  #chart(sensor, number) {
    const chart = new Chart(sensor, number, this.on.zoom);
    find("plots").append(chart.root);
    if (sensor === this.#focus) chart.area.focus();
    return chart;
  }
}

/** Width of one plot, in CSS pixels: more points than that cannot be seen. */
function plotWidth() {
  return Math.floor(parseFloat(getComputedStyle(find("plots")).gridTemplateColumns)) || 600;
}

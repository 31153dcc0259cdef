/** The page: which facility and range are shown, as its address says. */

import { Access } from "./access.js";
import { DeadLetters } from "./dead.js";
import { find, say } from "./dom.js";
import { Facilities } from "./facilities.js";
import { spaced } from "./format.js";
import { Integrity } from "./integrity.js";
import { copyButton, showOperations } from "./operations.js";
import { pause, reason } from "./request.js";
import { fromAddress, link } from "./state.js";
import { View } from "./view.js";

const LEAST_MS = 30_000; // of a zoom
const TICK_MS = 1_000;
const TICKS = 5; // of so many one reads the facilities and moves the plots

let view = null;
let running = new AbortController();
let state = fromAddress();

const to = (facility) => ({ ...state, facility });
const facilities = new Facilities((name) => link(to(name)), (name) => go(to(name)));
const access = new Access(() => Promise.all([resume(), readFacilities(running.signal)]));
const dead = new DeadLetters();
const integrity = new Integrity((aside) => dead.know(aside));

/** Show a facility. */
function go(next) {
  if (link(next) === link(state)) return;
  state = next;
  history.pushState(null, "", link(state));
  show();
}

/** Show the time that was chosen in a plot, in steps of a second; without one the range again. */
function zoom(fromMs, toMs) {
  const span = [fromMs, toMs].map((ms) => Math.round(ms / 1000) * 1000);
  if (fromMs === undefined) go({ ...state, zoom: null });
  else if (span[1] - span[0] >= LEAST_MS) go({ ...state, zoom: span });
}

/** Show the state anew. */
function show() {
  const { facility, range } = state;
  const focused = view?.focused;
  view?.stop();
  view = null;
  access.note("view");
  document.title = facility ? `${facility} - sensorpipe` : "sensorpipe";
  find("main").hidden = !facility;
  find("welcome").hidden = Boolean(facility);
  dead.place(facility);
  say(find("name"), facility);
  say(find("chosen"), facility || "none chosen");
  find(`range-${range}`).checked = !state.zoom;
  find("unzoom").hidden = !state.zoom;
  say(find("unzoom"), `Back to ${spaced(range)}`);
  onWidth();
  facilities.mark(facility);
  // only the list says how many sensors there are, and so whether all can be plotted
  if (!facility || !facilities.names) return;
  find("plots").setAttribute("aria-busy", "true");
  view = new View(facility, state, { status, zoom }, focused);
  know();
  view.start();
  integrity.follow(facility);
}

/** Ask again; what is shown stays until there is an answer. */
function resume() {
  view?.start();
  if (view) integrity.follow(view.facility);
}

function know() {
  const found = facilities.of(state.facility);
  if (view && found) view.know(found.sensors, Date.parse(found.last_window.end_time));
}

function status(name, error) {
  access.note("view", error);
  const away = access.isRefused ? "No access" : error && `Reconnecting: ${reason(error)}`;
  const texts = { waiting: "Waiting for readings", live: "Live", polling: "Polling each 5 s", away };
  find("status").dataset.status = name;
  say(find("status"), texts[name]);
}

/** Read the facilities; without a facility in the address the first one is shown. */
async function readFacilities(signal) {
  try {
    await facilities.read(signal);
  } catch (error) {
    if (signal.aborted) return;
    access.note("list", error);
    if (!view) status("away", error);
    return;
  }
  access.note("list");
  if (view) return know();
  const [first] = facilities.names;
  if (!state.facility && !first) {
    status("waiting");
    return integrity.look(signal);
  }
  if (!state.facility) {
    state = { ...state, facility: first };
    history.replaceState(null, "", link(state));
  }
  show();
}

async function run() {
  running = new AbortController();
  const { signal } = running;
  view ? resume() : show();
  for (let tick = 0; !signal.aborted; tick += 1) {
    if (tick % (access.isRefused ? 6 * TICKS : TICKS) === 0) await Promise.all([readFacilities(signal), view?.tick()]);
    else view?.tell();
    await pause(TICK_MS, signal);
  }
}

/** A page that nobody sees asks for nothing. */
function onVisibility() {
  running.abort();
  integrity.stop();
  view?.halt();
  if (!document.hidden) run();
}

const wide = matchMedia("(min-width: 52rem)");
const onWidth = () => (find("side").open = wide.matches || !state.facility);

document.addEventListener("visibilitychange", onVisibility);
window.addEventListener("popstate", () => {
  const next = fromAddress();
  if (link(next) === link(state)) return; // to another place of the same page
  state = next;
  show();
});
wide.addEventListener("change", onWidth);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view?.recolour());
find("ranges").addEventListener("change", (event) => go({ ...state, range: event.target.value, zoom: null }));
find("unzoom").addEventListener("click", () => zoom());
find("more").addEventListener("click", () => view?.more());
copyButton(find("curl"), () => view.curl());
showOperations(() => view?.examples() ?? {});
if (!document.hidden) run();

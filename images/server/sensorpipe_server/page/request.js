/** Requests to the server: the one place where the page fetches. */

const KEPT = "sensorpipe-token";

let skewMs = 0;
let restricted = false;
let token = "";
try {
  token = sessionStorage.getItem(KEPT) ?? "";
} catch {
  // where nothing may be stored, it is kept until the page is loaded again
}

/** The server's time in milliseconds, by the Date of its newest answer: clocks may differ. */
export const serverNow = () => Date.now() + skewMs;

/** Whether answers depend on tokens, as far as the server has answered. */
export const isRestricted = () => restricted;

export const hasToken = () => Boolean(token);

/** Send a token from now on, until the tab is closed; none if it is empty. */
export function useToken(text) {
  token = text;
  try {
    sessionStorage.setItem(KEPT, text);
  } catch {
    // as above
  }
}

/** Thrown for an answer that is not 2xx; `message` is what its problem document says. */
export class Refused extends Error {
  constructor(status, message, retryMs) {
    super(message);
    this.status = status;
    this.retryMs = retryMs;
  }
}

/** The address of a path below the page, with those parameters that have a value. */
export function address(path, parameters = {}) {
  const url = new URL(path, new URL(".", location.href));
  for (const [name, value] of Object.entries(parameters)) {
    if (value ?? "") url.searchParams.set(name, value);
  }
  return url.href;
}

/**
 * Answer a GET, or throw: Refused for a status that is not 2xx or 304, TypeError where the server
 * cannot be reached. The server must answer within `seconds`; 0 means that it may take any time.
 */
export async function request(url, { headers = {}, signal, seconds = 30 } = {}) {
  const signals = [signal, seconds ? AbortSignal.timeout(seconds * 1000) : null].filter(Boolean);
  const answer = await fetch(url, {
    headers: token ? { ...headers, Authorization: `Bearer ${token}` } : headers,
    signal: AbortSignal.any(signals),
    credentials: "same-origin",
    referrerPolicy: "no-referrer",
  });
  restricted ||= /authorization/i.test(answer.headers.get("Vary"));
  // one that browsers may keep can be from long ago
  const isKept = answer.headers.get("Cache-Control")?.includes("immutable");
  const date = isKept ? NaN : Date.parse(answer.headers.get("Date"));
  // a Date has whole seconds, so half a second is its mean error
  if (Math.abs(date + 500 - serverNow()) > 2000) skewMs = date + 500 - Date.now();
  if (answer.ok || answer.status === 304) return answer;
  throw await refusal(answer);
}

async function refusal(answer) {
  let detail = "";
  try {
    detail = (await answer.json()).detail;
  } catch {
    // a proxy in between answers otherwise
  }
  const retry = Number(answer.headers.get("Retry-After"));
  const message = detail || `${answer.status} ${answer.statusText}`.trim();
  return new Refused(answer.status, message, retry > 0 ? retry * 1000 : 0);
}

/** Why a request failed, in a few words. */
export const reason = (error) => (error.status ? error.message : "no answer");

/** Save what an address answers, for which a link does not do: it cannot send a token. */
export async function save(url, name) {
  const blob = await (await request(url, { seconds: 300 })).blob();
  const href = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

/** The line for a shell that asks for the same; a token is to be in its variable TOKEN. */
export function curlLine(url, ...options) {
  if (token) options.push('-H "Authorization: Bearer $TOKEN"');
  const quoted = `'${url.replaceAll("'", "%27")}'`;
  return ["curl", "-sS", ...options, quoted].join(" ");
}

/** Wait so many milliseconds, or until the signal, on which nothing is left then. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

/** Put text on the clipboard; whether it is there. Needs HTTPS or localhost, or an old command. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return done;
  }
}

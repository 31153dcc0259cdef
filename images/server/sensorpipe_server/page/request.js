/** Requests to the server: the one place where the page fetches. */

let skewMs = 0;

/** The server's time in milliseconds, by the Date of its newest answer: clocks may differ. */
export const serverNow = () => Date.now() + skewMs;

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
    headers,
    signal: AbortSignal.any(signals),
    credentials: "same-origin",
    referrerPolicy: "no-referrer",
  });
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

/** The line for a shell that asks for the same. */
export function curlLine(url, ...options) {
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

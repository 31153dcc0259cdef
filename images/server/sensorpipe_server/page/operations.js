/** The operations of the API, each with a line for the shell, from its OpenAPI document. */

import { element, find, say } from "./dom.js";
import { address, copy, curlLine, request } from "./request.js";

/** A button that copies text and says so. */
export function copyButton(button, text) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    const done = await copy(text());
    say(button, done ? "Copied" : "Not allowed here");
    setTimeout(() => say(button, label), 2000);
  });
  return button;
}

/** An example of a parameter: the document's own, or what is shown. */
function example(parameter, shown) {
  const own = shown[parameter.name];
  if (own !== undefined) return own;
  const { schema = {} } = parameter;
  const value = parameter.example ?? schema.example ?? schema.default;
  return Array.isArray(value) ? value.join(",") : value;
}

/** The address of an operation with the parameters it needs. */
export function exampleAddress(path, operation, shown) {
  const query = {};
  let filled = path;
  for (const parameter of operation.parameters ?? []) {
    const value = example(parameter, shown) ?? "";
    if (parameter.in === "path") {
      filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(value));
    } else if (parameter.in === "query" && (parameter.required || parameter.name in shown)) {
      query[parameter.name] = value;
    }
  }
  return address(filled.slice(1), query);
}

function entry(path, operation, shown) {
  const url = exampleAddress(path, operation, shown);
  const streams = "text/event-stream" in (operation.responses?.["200"]?.content ?? {});
  const line = curlLine(url, ...(streams ? ["-N"] : []));
  const button = copyButton(element("button", { type: "button" }, "Copy"), () => line);
  button.setAttribute("aria-label", `Copy the line for ${path}`);
  const code = element("code", { tabIndex: 0 }, line);
  const head = element("h3", {}, element("b", {}, "GET"), " ", path);
  const text = element("p", {}, operation.summary ?? "");
  return element("li", {}, head, text, element("div", { className: "line" }, code, button));
}

/** Fill the list when it is opened; `shown()` has values for parameters by their names. */
export function showOperations(shown) {
  const details = find("api");
  details.addEventListener("toggle", async () => {
    if (!details.open) return;
    try {
      const document_ = await (await request(address("openapi.json"))).json();
      const all = Object.entries(document_.paths).filter(([, of]) => of.get);
      find("operations").replaceChildren(...all.map(([path, of]) => entry(path, of.get, shown())));
    } catch (error) {
      find("operations").replaceChildren(element("li", {}, `No list: ${error.message}`));
    }
  });
}

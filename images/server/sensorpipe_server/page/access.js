/** The token for an API that needs one: asked for, kept for this tab, and forgotten. */

import { find, say } from "./dom.js";
import { hasToken, isRestricted, reason, save, useToken } from "./request.js";

export class Access {
  #refusals = {};
  #isOpened = false;
  #wasAnswered = false;

  /** `changed()` is called once there is another token. */
  constructor(changed) {
    this.form = find("access");
    this.field = find("access-token");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      useToken(this.field.value.trim().replace(/^Bearer +/i, ""));
      this.field.value = "";
      this.#isOpened = false;
      say(find("access-why"), "");
      changed();
    });
    find("token").addEventListener("click", () => {
      if (hasToken()) {
        useToken("");
        return location.reload(); // so that nothing that it could read is left
      }
      this.#isOpened = !this.#isOpened;
      this.#show();
      this.field.focus();
    });
    find("csv").addEventListener("click", (event) => this.#onSave(event));
  }

  /** Whether the server has refused what is to be shown. */
  get isRefused() {
    return Boolean(this.#refusal);
  }

  /** Tell what `list` or `view` failed with; with nothing that it did not. */
  note(what, error) {
    this.#wasAnswered ||= what === "list" && !error;
    this.#refusals[what] = [401, 403].includes(error?.status) ? error : null;
    this.#show();
  }

  get #refusal() {
    return this.#refusals.list ?? this.#refusals.view;
  }

  #show() {
    const refusal = this.#refusal;
    const wasFocused = this.form.contains(document.activeElement);
    this.form.hidden = !refusal && !this.#isOpened;
    say(find("access-title"), refusal?.status === 403 ? "Not granted" : "This API needs a token");
    say(find("access-why"), refusal?.message ?? "");
    find("token").hidden = !hasToken() && (this.isRefused || !isRestricted());
    say(find("token"), hasToken() ? "Forget token" : "Token");
    find("dead-link").hidden = hasToken(); // links cannot send it
    find("columns").hidden = Boolean(refusal) && !this.#wasAnswered;
    if (wasFocused && this.form.hidden) find("token").focus();
  }

  async #onSave(event) {
    const link = event.currentTarget;
    if (!hasToken()) return;
    event.preventDefault();
    try {
      await save(link.href, "series.csv");
    } catch (error) {
      say(link, `Failed: ${reason(error)}`);
      setTimeout(() => say(link, "CSV"), 5000);
    }
  }
}

/** Elements of the page. Text from the server becomes text nodes, never markup. */

/** Make an element; properties that are none of its own become attributes. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export const find = (id) => document.getElementById(id);

/** Set text only where it changes, so that screen readers do not read it again. */
export function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/** The value of a custom property of the style sheet, such as `--text`. */
export const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

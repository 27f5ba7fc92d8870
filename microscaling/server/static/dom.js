// Elements, made without markup: foreign text, from agents and people, is only ever inserted as text.

/** An element. Props: `class`, `text`, `on` (listeners); anything else is an attribute (false, null: left out). */
export function el(name, props = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (key === "class") element.className = value;
    else if (key === "text") element.textContent = value;
    else if (key === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Sets the text only if it differs, so that nothing is laid out, or read aloud, again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

/** Makes the children of `parent` those of `items`, in order; existing ones are kept, by key. Calls `gone` with each removed one. */
export function keyed(parent, items, key, make, update, gone = () => {}) {
  const known = parent.keyedChildren ?? (parent.keyedChildren = new Map());
  const wanted = new Set();
  let place = parent.firstElementChild;
  for (const [index, item] of items.entries()) {
    const id = key(item, index);
    if (wanted.has(id)) continue;
    wanted.add(id);
    let child = known.get(id);
    if (!child) known.set(id, (child = make(item)));
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    update(child, item, index);
  }
  for (const [id, child] of known) {
    if (wanted.has(id)) continue;
    gone(child);
    child.remove();
    known.delete(id);
  }
}

/** Returns a function that runs `action` at once, then at most every `ms`, and once more after further calls. */
export function throttled(action, ms) {
  let timer = 0;
  let again = false;
  const run = () => {
    action();
    timer = setTimeout(() => {
      timer = 0;
      if (again) {
        again = false;
        run();
      }
    }, ms);
  };
  return () => {
    if (timer) again = true;
    else run();
  };
}

// Creates and updates DOM elements for the admin pages, and formats ids, numbers and times. Strings become text, never markup.
const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG_NAMESPACE, tag), attributes, children);
export const byId = (id) => document.getElementById(id);

// Changes the text only if it differs: a text selection and the reading position of a screen reader survive.
export function setText(element, value) {
  const text = String(value);
  if (element.textContent !== text) element.textContent = text;
}

// Makes the children of `parent` match `items`, in order. A child with the same key is kept and updated.
export function reconcileChildren(parent, items, keyOf, create, update) {
  const childrenByKey = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = childrenByKey.get(key);
    childrenByKey.delete(key);
    if (!child) {
      child = create(item);
      child.dataset.key = key;
    }
    update?.(child, item);
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
  for (const child of childrenByKey.values()) child.remove();
}

export const shortId = (id) => (typeof id === "string" && id.length > 13 ? `…${id.slice(-8)}` : (id ?? "–"));
export const formatNumber = (value) => (value === null || value === undefined ? "?" : value.toLocaleString());

export function formatDuration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

export const formatTime = (at) => new Date(at).toLocaleTimeString();
const millisecondFormat = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
export const formatPreciseTime = (at) => millisecondFormat.format(new Date(at));

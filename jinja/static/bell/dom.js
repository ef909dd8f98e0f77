// Elements by hand: text is always text, never markup.
import { initials } from "../initials.js";

// el("a.name", { href: "/", on: { click } }, "text", child)
export function el(name, props = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  const { on = {}, ...attributes } = props;
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  for (const [event, heard] of Object.entries(on)) made.addEventListener(event, heard);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// The Unicode blocks of scripts that are written from right to left.
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

// A name inside a sentence that is plain text (an aria-label): isolated where its direction would
// reorder the words around it. In markup a <bdi> does this.
export function isolate(name) {
  return RIGHT_TO_LEFT.test(name) ? `\u2068${name}\u2069` : name;
}

const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const drawn = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  drawn.setAttribute("class", "icon");
  drawn.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `/static/icons.svg#${name}`);
  drawn.append(use);
  return drawn;
}

// A button that is only a picture to the eye.
export function iconButton(name, label, click) {
  return el("button.icon-button", { type: "button", "aria-label": label, title: label, on: { click } }, icon(name));
}

const encoder = new TextEncoder();

// The same colour and letters as the server draws (blueprints/pages.py).
export function face(person) {
  const key = person.username ?? person.id;
  const hue = encoder.encode(key).reduce((sum, byte) => sum + byte, 0) % 8;
  return el(`span.avatar.hue-${hue}`, { "aria-hidden": "true" }, initials(person.name));
}

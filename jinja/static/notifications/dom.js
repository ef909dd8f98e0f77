// Creates DOM elements for the notification list. Strings become text nodes, never markup.
import { initials } from "../initials.js";

// el("a.name", { href: "/", on: { click } }, "text", child)
export function el(name, props = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  const { on = {}, ...attributes } = props;
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  for (const [eventName, listener] of Object.entries(on)) element.addEventListener(eventName, listener);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// The Unicode blocks of scripts that are written from right to left.
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

// A name inside a plain-text sentence (an aria-label), isolated when its direction would reorder the words around it.
// In markup a <bdi> does this.
export function isolate(name) {
  return RIGHT_TO_LEFT.test(name) ? `\u2068${name}\u2069` : name;
}

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

export function icon(name) {
  const svg = document.createElementNS(SVG_NAMESPACE, "svg");
  const use = document.createElementNS(SVG_NAMESPACE, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

// A button without visible text; `label` is its accessible name and tooltip.
export function iconButton(name, label, onClick) {
  return el("button.icon-button", { type: "button", "aria-label": label, title: label, on: { click: onClick } }, icon(name));
}

const encoder = new TextEncoder();

// Text avatar with the same colour and initials as the server renders (macros.html `avatar`).
export function avatar(user) {
  const key = user.username ?? user.id;
  const hue = encoder.encode(key).reduce((sum, byte) => sum + byte, 0) % 8;
  return el(`span.avatar.hue-${hue}`, { "aria-hidden": "true" }, initials(user.name));
}

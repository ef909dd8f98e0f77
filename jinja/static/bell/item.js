// One line of the list: faces, what happened, when, and what can be done about it.
import { ago } from "../times.js";
import { counted } from "../words.js";
import { el, face, icon, iconButton, isolate } from "./dom.js";

const FACES = 4;
const SIGNS = {
  OTP: "lock", PASSWORD_RESET: "lock", SECURITY_ALERT: "lock", MARKETING: "mail", DIGEST: "mail",
};

// Four faces at most, one name for all of them. Every face has its place, so that none moves another.
function faces(row) {
  if (!row.actors.length) return el("span.faces", { "aria-hidden": "true" }, el("span.avatar.sign", {}, icon(SIGNS[row.type] ?? "bell")));
  const shown = row.actors.slice(0, FACES);
  const rest = Math.max(0, row.count - shown.length);
  const names = shown.map((one) => isolate(one.name));
  if (rest) names.push(counted(rest, "other"));
  const label = new Intl.ListFormat("en").format(names);
  const more = rest ? el("span.faces-more", { "aria-hidden": "true" }, `+${rest}`) : null;
  return el("span.faces", { role: "img", "aria-label": label }, ...shown.map(face), more);
}

function moment(row) {
  const when = new Date(row.when);
  return el("time.muted", { datetime: row.when, title: when.toLocaleString() }, ago(when));
}

function state(row) {
  if (row.gone) return el("span.dot", {}, "Withdrawn");
  return row.isRead ? null : el("span.dot", {}, "Unread");
}

function link(row, acts) {
  const acted = () => acts.opened(row.id);
  return el("a.group-line", { href: row.href, title: row.text, on: { click: acted, auxclick: acted } }, row.text);
}

function tools(row, acts, opened) {
  const toggle = row.isRead
    ? iconButton("unread", "Mark as unread", () => acts.toggle(row.id))
    : iconButton("check", "Mark as read", () => acts.toggle(row.id));
  const more = (what, sign, label) => {
    const button = iconButton(sign, label, () => acts.expand(row.id, what));
    button.setAttribute("aria-expanded", String(opened === what));
    return button;
  };
  return el("div.group-tools", {},
    toggle,
    iconButton("archive", "Archive", () => acts.archive(row.id)),
    iconButton("trash", "Delete", () => acts.remove(row.id)),
    more("why", "why", "Why did this come?"),
    row.count > 1 ? more("who", "users", "Who?") : null,
  );
}

// Fills `li` anew; where the focus was on a part of it, it stays on that part.
export function fill(li, row, acts, opened) {
  const focused = li.contains(document.activeElement) ? placeOf(li, document.activeElement) : null;
  li.className = row.isRead || row.gone ? "group" : "group unread";
  li.dataset.notification = row.id;
  li.dataset.version = row.version;
  const below = li.querySelector(":scope > .group-more");
  li.replaceChildren(
    el("div.group-head", {}, faces(row), state(row), moment(row)),
    row.gone ? el("p.group-line.muted", {}, "This is no longer there.") : link(row, acts),
    row.gone ? el("div.group-tools") : tools(row, acts, opened),
    ...(below && opened ? [below] : []),
  );
  if (focused) find(li, focused)?.focus({ preventScroll: true });
}

function placeOf(li, element) {
  if (element === li) return null;
  return element.matches(".group-line") ? ".group-line" : `[aria-label="${CSS.escape(element.getAttribute("aria-label") ?? "")}"]`;
}

// "Mark as read" is "Mark as unread" afterwards, in the same place.
function find(li, place) {
  return li.querySelector(place) ?? li.querySelector(".group-tools button") ?? li;
}

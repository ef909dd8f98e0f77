// Renders one notification group as a list item: faces, one line of text, a second line, time and buttons.
import { formatCount } from "../plurals.js";
import { formatShort } from "../relativeTimes.js";
import { avatar, el, icon, iconButton, isolate } from "./dom.js";
import { formatSnoozeTime } from "./snooze.js";

const MAX_FACES = 2;
const MAX_NAMES = 4;
const TYPE_ICONS = {
  OTP: "lock", PASSWORD_RESET: "lock", SECURITY_ALERT: "lock", MARKETING: "mail", DIGEST: "mail",
};

// One or two faces with one accessible name for everybody in the group.
function actorAvatars(row) {
  if (!row.actors.length) return el("span.actor-avatars", { "aria-hidden": "true" }, el("span.avatar.type-icon", {}, icon(TYPE_ICONS[row.type] ?? "bell")));
  const namedActors = row.actors.slice(0, MAX_NAMES);
  const unnamedCount = Math.max(0, row.count - namedActors.length);
  const names = namedActors.map((actor) => isolate(actor.name));
  if (unnamedCount) names.push(formatCount(unnamedCount, "other"));
  const label = new Intl.ListFormat("en").format(names);
  return el("span.actor-avatars", { role: "img", "aria-label": label }, ...row.actors.slice(0, MAX_FACES).map(avatar));
}

function timeElement(row) {
  if (row.snoozedUntil) return el("span.group-time.muted", {}, `until ${formatSnoozeTime(new Date(row.snoozedUntil))}`);
  const updatedAt = new Date(row.updatedAt);
  return el("time.group-time.muted", { datetime: row.updatedAt, "data-short": true, title: updatedAt.toLocaleString() }, formatShort(updatedAt));
}

// The dot and the weight of the text show what is unread; the word is for screen readers.
function stateLabel(row) {
  return row.isRead || row.isRemoved ? null : el("span.status-dot", {}, el("span.visually-hidden", {}, "Unread"));
}

function messageLink(row, actions) {
  const onOpen = () => actions.markOpened(row.id);
  return el("a.group-line", { href: row.href, title: row.text, on: { click: onOpen, auxclick: onOpen } }, row.text);
}

function detailLine(row) {
  return el("p.group-detail.muted", { dir: "auto", title: row.detail || null }, row.detail);
}

function toolbar(row, actions, expandedDetails) {
  if (row.snoozedUntil) {
    return el("div.group-tools", {}, iconButton("inbox", "Move back to the list", () => actions.cancelSnooze(row.id)));
  }
  const readButton = row.isRead
    ? iconButton("unread", "Mark as unread", () => actions.toggleRead(row.id))
    : iconButton("check", "Mark as read", () => actions.toggleRead(row.id));
  const detailsButton = (details, iconName, label) => {
    const button = iconButton(iconName, label, () => actions.toggleDetails(row.id, details));
    button.setAttribute("aria-expanded", String(expandedDetails === details));
    return button;
  };
  return el("div.group-tools", {},
    readButton,
    detailsButton("snooze", "clock", "Snooze"),
    iconButton("archive", "Archive", () => actions.archive(row.id)),
    iconButton("trash", "Delete", () => actions.remove(row.id)),
    detailsButton("why", "why", "Why did this come?"),
    row.count > 1 ? detailsButton("who", "users", "Who?") : null,
  );
}

// Shown where there is no pointer that hovers: opens and closes the toolbar.
function toolbarButton(li) {
  const button = iconButton("more", "Actions", () => {
    const isOpen = li.classList.toggle("tools-open");
    button.setAttribute("aria-expanded", String(isOpen));
  });
  button.classList.add("group-more");
  button.setAttribute("aria-expanded", String(li.classList.contains("tools-open")));
  return button;
}

// Renders `li` again; if the focus was on an element inside, it stays on the corresponding one. Open details are not
// touched: an element that is moved loses the focus.
export function renderListItem(li, row, actions, expandedDetails) {
  const details = expandedDetails ? li.querySelector(":scope > .group-details") : null;
  const isFocusReplaced = li.contains(document.activeElement) && !details?.contains(document.activeElement);
  const focusSelector = isFocusReplaced ? selectorOf(li, document.activeElement) : null;
  li.classList.add("group");
  li.classList.toggle("unread", !row.isRead && !row.isRemoved);
  li.dataset.notification = row.id;
  li.dataset.version = row.version;
  const children = row.isRemoved
    ? [el("p.group-line.muted", {}, "This is no longer there."), el("p.group-detail.muted")]
    : [stateLabel(row), messageLink(row, actions), detailLine(row), timeElement(row), toolbar(row, actions, expandedDetails), toolbarButton(li)];
  for (const child of [...li.children]) if (child !== details) child.remove();
  li.prepend(actorAvatars(row), ...children.filter(Boolean));
  if (focusSelector) findFocusTarget(li, focusSelector)?.focus({ preventScroll: true });
}

function selectorOf(li, element) {
  if (element === li) return null;
  return element.matches(".group-line") ? ".group-line" : `[aria-label="${CSS.escape(element.getAttribute("aria-label") ?? "")}"]`;
}

// The label of a button may have changed ("Mark as read" to "Mark as unread"): then the first button takes the focus.
function findFocusTarget(li, selector) {
  return li.querySelector(selector) ?? li.querySelector(".group-tools button") ?? li;
}

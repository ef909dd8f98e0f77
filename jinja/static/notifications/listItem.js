// Renders one notification group as a list item: avatars, message, time and buttons.
import { formatCount } from "../plurals.js";
import { formatRelative } from "../relativeTimes.js";
import { avatar, el, icon, iconButton, isolate } from "./dom.js";

const MAX_AVATARS = 4;
const TYPE_ICONS = {
  OTP: "lock", PASSWORD_RESET: "lock", SECURITY_ALERT: "lock", MARKETING: "mail", DIGEST: "mail",
};

// At most four avatars with one accessible name for all of them.
function actorAvatars(row) {
  if (!row.actors.length) return el("span.actor-avatars", { "aria-hidden": "true" }, el("span.avatar.type-icon", {}, icon(TYPE_ICONS[row.type] ?? "bell")));
  const shownActors = row.actors.slice(0, MAX_AVATARS);
  const hiddenCount = Math.max(0, row.count - shownActors.length);
  const names = shownActors.map((actor) => isolate(actor.name));
  if (hiddenCount) names.push(formatCount(hiddenCount, "other"));
  const label = new Intl.ListFormat("en").format(names);
  const more = hiddenCount ? el("span.actor-avatars-more", { "aria-hidden": "true" }, `+${hiddenCount}`) : null;
  return el("span.actor-avatars", { role: "img", "aria-label": label }, ...shownActors.map(avatar), more);
}

function timeElement(row) {
  const updatedAt = new Date(row.updatedAt);
  return el("time.muted", { datetime: row.updatedAt, title: updatedAt.toLocaleString() }, formatRelative(updatedAt));
}

function stateLabel(row) {
  if (row.isRemoved) return el("span.status-dot", {}, "Withdrawn");
  return row.isRead ? null : el("span.status-dot", {}, "Unread");
}

function messageLink(row, actions) {
  const onOpen = () => actions.markOpened(row.id);
  return el("a.group-line", { href: row.href, title: row.text, on: { click: onOpen, auxclick: onOpen } }, row.text);
}

function toolbar(row, actions, expandedDetails) {
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
    iconButton("archive", "Archive", () => actions.archive(row.id)),
    iconButton("trash", "Delete", () => actions.remove(row.id)),
    detailsButton("why", "why", "Why did this come?"),
    row.count > 1 ? detailsButton("who", "users", "Who?") : null,
  );
}

// Renders `li` again; if the focus was on an element inside, it stays on the corresponding one.
export function renderListItem(li, row, actions, expandedDetails) {
  const focusSelector = li.contains(document.activeElement) ? selectorOf(li, document.activeElement) : null;
  li.className = row.isRead || row.isRemoved ? "group" : "group unread";
  li.dataset.notification = row.id;
  li.dataset.version = row.version;
  const details = li.querySelector(":scope > .group-details");
  li.replaceChildren(
    el("div.group-head", {}, actorAvatars(row), stateLabel(row), timeElement(row)),
    row.isRemoved ? el("p.group-line.muted", {}, "This is no longer there.") : messageLink(row, actions),
    row.isRemoved ? el("div.group-tools") : toolbar(row, actions, expandedDetails),
    ...(details && expandedDetails ? [details] : []),
  );
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

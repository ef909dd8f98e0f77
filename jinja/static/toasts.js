// Toasts: at most three, text only. A toast with a known id replaces the earlier one of the same notification group.
const MAX_TOASTS = 3;
const TOAST_SECONDS = 6;
const TOP_OFFSET_PX = 80; // height of the top bar and a margin
const container = document.getElementById("toasts");
const queuedCriticalToasts = []; // critical ones that do not fit: none of them is dropped

const isCritical = (toast) => toast.classList.contains("critical");

// Critical toasts stay until they are closed; the others close by themselves, but not while the pointer or focus is on them.
export function showToast({ id, message, href, critical = false }) {
  const toast = document.createElement("div");
  toast.className = critical ? "toast critical" : "toast";
  toast.setAttribute("role", critical ? "alert" : "status");
  if (id) toast.dataset.toast = id;
  const existing = id && findToast(id);
  if (existing) replaceToast(existing, toast);
  else if (!insertToast(toast)) return;
  avoidTextFields();
  // The content is added after the live region is in the document; otherwise screen readers often skip it.
  toast.append(createText(message, href), createCloseButton(toast));
  if (!critical) startAutoClose(toast);
}

function findToast(id) {
  return container.querySelector(`[data-toast="${CSS.escape(id)}"]`);
}

// Returns whether the toast was inserted or queued. When full, the oldest non-critical toast is removed.
function insertToast(toast) {
  if (container.children.length >= MAX_TOASTS) {
    const oldest = [...container.children].find((shownToast) => !isCritical(shownToast));
    if (oldest) oldest.remove();
    else if (isCritical(toast)) queuedCriticalToasts.push(toast);
    else return false;
  }
  if (!queuedCriticalToasts.includes(toast)) container.append(toast);
  return true;
}

// If the focus is in the old toast, it moves to the same element of the new one.
function replaceToast(existing, toast) {
  const focusedTag = existing.contains(document.activeElement) ? document.activeElement.tagName : null;
  existing.replaceWith(toast);
  if (focusedTag) queueMicrotask(() => toast.querySelector(focusedTag)?.focus());
}

function createText(message, href) {
  const paragraph = document.createElement("p");
  const inner = href ? document.createElement("a") : document.createElement("span");
  if (href) inner.href = href;
  inner.textContent = message;
  paragraph.append(inner);
  return paragraph;
}

function createCloseButton(toast) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "secondary";
  button.textContent = "Close";
  button.addEventListener("click", () => closeToast(toast));
  return button;
}

function closeToast(toast) {
  toast.remove();
  const next = queuedCriticalToasts.shift();
  if (next) container.append(next);
}

// The timer starts again after each interaction; it does not run out while the toast is hovered, focused or in a hidden tab.
function startAutoClose(toast) {
  let timer = null;
  const isPaused = () => toast.matches(":hover, :focus-within") || document.visibilityState === "hidden";
  const restartTimer = () => {
    clearTimeout(timer);
    if (toast.isConnected || !timer) timer = isPaused() ? timer : setTimeout(() => closeToast(toast), TOAST_SECONDS * 1000);
    else document.removeEventListener("visibilitychange", restartTimer);
  };
  restartTimer();
  for (const name of ["pointerenter", "pointerleave", "focusin", "focusout"]) toast.addEventListener(name, () => queueMicrotask(restartTimer));
  document.addEventListener("visibilitychange", restartTimer);
}

// Called when the notification list opens: it shows the same rows. Critical toasts stay until they are closed.
export function clearToasts() {
  for (const toast of [...container.children]) if (toast.dataset.toast && !isCritical(toast)) toast.remove();
}

// On phones the toasts are at the top, or at the bottom when they would cover a text field at the top.
function avoidTextFields() {
  const coveredHeight = TOP_OFFSET_PX + container.offsetHeight;
  const isCovered = (field) => {
    const { top, bottom } = field.getBoundingClientRect();
    return bottom > 0 && top < coveredHeight;
  };
  const isTyping = document.activeElement?.matches("textarea, input");
  const fields = isTyping ? [document.activeElement] : [...document.querySelectorAll("main textarea")];
  container.classList.toggle("at-bottom", fields.some(isCovered));
}
document.addEventListener("focusin", () => container.children.length && avoidTextFields());

// Removes the toast of a notification that was read or removed elsewhere.
export function removeToast(id) {
  const index = queuedCriticalToasts.findIndex((toast) => toast.dataset.toast === id);
  if (index >= 0) queuedCriticalToasts.splice(index, 1);
  const toast = findToast(id);
  if (toast) closeToast(toast);
}

// Escape closes the focused toast, or else the newest one.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  const toast = document.activeElement?.closest?.(".toast") ?? container.lastElementChild;
  if (toast) closeToast(toast);
});

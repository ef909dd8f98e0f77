// STOP 9: the toast. At most three; text only, never markup. One of a group replaces the one before it.
const MOST = 3;
const SECONDS = 6;
const BAR = 80; // px: the bar above the page, and some air
const area = document.getElementById("toasts");
const waiting = []; // critical ones beyond the third: none of them is lost

const isCritical = (box) => box.classList.contains("critical");

// Critical ones stay until somebody closes them; the others leave, but not while anybody looks at them.
export function toast({ id, message, href, critical = false }) {
  const box = document.createElement("div");
  box.className = critical ? "toast critical" : "toast";
  box.setAttribute("role", critical ? "alert" : "status");
  if (id) box.dataset.toast = id;
  const old = id && find(id);
  if (old) replace(old, box);
  else if (!enter(box)) return;
  keepClear();
  // Into the live region that is there already: a region that comes with its text is often not read.
  box.append(line(message, href), closer(box));
  if (!critical) leaveLater(box);
}

function find(id) {
  return area.querySelector(`[data-toast="${CSS.escape(id)}"]`);
}

// Whether it has a place. Of those there, the oldest that may go makes way.
function enter(box) {
  if (area.children.length >= MOST) {
    const oldest = [...area.children].find((one) => !isCritical(one));
    if (oldest) oldest.remove();
    else if (isCritical(box)) waiting.push(box);
    else return false;
  }
  if (!waiting.includes(box)) area.append(box);
  return true;
}

// The focus, if it is in the old one, goes to the same part of the new one.
function replace(old, box) {
  const part = old.contains(document.activeElement) ? document.activeElement.tagName : null;
  old.replaceWith(box);
  if (part) queueMicrotask(() => box.querySelector(part)?.focus());
}

function line(message, href) {
  const text = document.createElement("p");
  const inner = href ? document.createElement("a") : document.createElement("span");
  if (href) inner.href = href;
  inner.textContent = message;
  text.append(inner);
  return text;
}

function closer(box) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = "Close";
  button.addEventListener("click", () => close(box));
  return button;
}

function close(box) {
  box.remove();
  const next = waiting.shift();
  if (next) area.append(next);
}

// The clock stands still while somebody looks at it, and while nobody can: in a tab behind another.
function leaveLater(box) {
  let timer = null;
  const held = () => box.matches(":hover, :focus-within") || document.visibilityState === "hidden";
  const turn = () => {
    clearTimeout(timer);
    if (box.isConnected || !timer) timer = held() ? timer : setTimeout(() => close(box), SECONDS * 1000);
    else document.removeEventListener("visibilitychange", turn);
  };
  turn();
  for (const name of ["pointerenter", "pointerleave", "focusin", "focusout"]) box.addEventListener(name, () => queueMicrotask(turn));
  document.addEventListener("visibilitychange", turn);
}

// What was announced is in the list that opened; critical ones stay until somebody closes them.
export function clearToasts() {
  for (const box of [...area.children]) if (box.dataset.toast && !isCritical(box)) box.remove();
}

// On phones there is room at the top or at the bottom; not where somebody writes, or could.
function keepClear() {
  const depth = BAR + area.offsetHeight;
  const within = (field) => {
    const { top, bottom } = field.getBoundingClientRect();
    return bottom > 0 && top < depth;
  };
  const writes = document.activeElement?.matches("textarea, input");
  const fields = writes ? [document.activeElement] : [...document.querySelectorAll("main textarea")];
  area.classList.toggle("low", fields.some(within));
}
document.addEventListener("focusin", () => area.children.length && keepClear());

export function dropToast(id) {
  const place = waiting.findIndex((box) => box.dataset.toast === id);
  if (place >= 0) waiting.splice(place, 1);
  const box = find(id);
  if (box) close(box);
}

// By key: the one with the focus, or else the newest.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  const box = document.activeElement?.closest?.(".toast") ?? area.lastElementChild;
  if (box) close(box);
});

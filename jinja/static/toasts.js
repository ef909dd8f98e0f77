// STOP 9: the toast. At most three; text only, never markup.
const MOST = 3;
const SECONDS = 6;
const area = document.getElementById("toasts");

export function toast({ id, message, href, critical = false }) {
  const old = id && area.querySelector(`[data-toast="${CSS.escape(id)}"]`);
  const box = document.createElement("div");
  box.className = critical ? "toast critical" : "toast";
  box.setAttribute("role", critical ? "alert" : "status");
  if (id) box.dataset.toast = id;
  box.append(line(message, href), closer(box));
  if (old) old.replaceWith(box);
  else area.append(box);
  while (area.children.length > MOST) area.firstElementChild.remove();
  leaveLater(box);
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
  button.addEventListener("click", () => box.remove());
  return button;
}

// The clock stands still while somebody looks at it.
function leaveLater(box) {
  let timer = setTimeout(() => box.remove(), SECONDS * 1000);
  const hold = () => clearTimeout(timer);
  const go = () => {
    hold();
    timer = setTimeout(() => box.remove(), SECONDS * 1000);
  };
  for (const name of ["pointerenter", "focusin"]) box.addEventListener(name, hold);
  for (const name of ["pointerleave", "focusout"]) box.addEventListener(name, go);
}

export function dropToast(id) {
  area.querySelector(`[data-toast="${CSS.escape(id)}"]`)?.remove();
}

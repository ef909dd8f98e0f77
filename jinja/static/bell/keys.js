// Single keys within a list. They work only while the focus is in it, and can be switched off.

const KEPT = "shortcuts";

const shortcuts = {
  get on() {
    return localStorage.getItem(KEPT) !== "off";
  },
  set on(yes) {
    localStorage.setItem(KEPT, yes ? "on" : "off");
  },
};

// j and k walk the lines; `acts` gets the id of the line with the focus.
export function startKeys(list, acts) {
  const lines = () => [...list.root.querySelectorAll("a.group-line")];
  const current = () => document.activeElement?.closest?.("[data-notification]");
  const walk = (step) => {
    const all = lines();
    const at = all.indexOf(current()?.querySelector("a.group-line"));
    const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step));
    all[next]?.focus();
  };
  const on = (act) => () => current() && act(current().dataset.notification);
  const table = {
    j: () => walk(1), k: () => walk(-1), ArrowDown: () => walk(1), ArrowUp: () => walk(-1),
    e: on(acts.archive), u: on(acts.toggle), U: acts.markAll, "?": acts.help,
  };
  document.addEventListener("keydown", (event) => {
    const act = table[event.key];
    if (!act || !heard(list.root, event)) return;
    if (!event.key.startsWith("Arrow") && !shortcuts.on) return;
    event.preventDefault();
    act();
  });
}

function heard(root, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return false;
  if (event.target.closest?.("input, textarea, select, [role=tablist], [contenteditable]")) return false;
  return root.contains(event.target) || (event.target === document.body && root.dataset.inbox === "page");
}

// The help and the switch for single keys; returns what shows and hides it.
export function startHelp(root) {
  const help = root.querySelector("[data-help]");
  const button = root.querySelector("[data-help-button]");
  const box = help.querySelector("input");
  const turn = () => {
    help.hidden = !help.hidden;
    button.setAttribute("aria-expanded", String(!help.hidden));
  };
  button.hidden = false;
  box.checked = shortcuts.on;
  box.addEventListener("change", () => (shortcuts.on = box.checked));
  button.addEventListener("click", turn);
  return turn;
}

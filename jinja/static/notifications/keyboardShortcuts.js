// Single-key shortcuts of a notification list. They work while the focus is inside the list and can be switched off.

const STORAGE_KEY = "shortcuts";

const shortcutSetting = {
  get isEnabled() {
    return localStorage.getItem(STORAGE_KEY) !== "off";
  },
  set isEnabled(isEnabled) {
    localStorage.setItem(STORAGE_KEY, isEnabled ? "on" : "off");
  },
};

// j, k and the arrow keys move the focus; the other keys call an action with the id of the focused item.
export function startKeyboardShortcuts(list, actions) {
  const messageLinks = () => [...list.root.querySelectorAll("a.group-line")];
  const focusedItem = () => document.activeElement?.closest?.("[data-notification]");
  const moveFocus = (step) => {
    const links = messageLinks();
    const index = links.indexOf(focusedItem()?.querySelector("a.group-line"));
    const next = index < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, index + step));
    links[next]?.focus();
  };
  const onFocusedItem = (action) => () => focusedItem() && action(focusedItem().dataset.notification);
  const handlers = {
    j: () => moveFocus(1), k: () => moveFocus(-1), ArrowDown: () => moveFocus(1), ArrowUp: () => moveFocus(-1),
    e: onFocusedItem(actions.archive), s: onFocusedItem(actions.openSnooze), u: onFocusedItem(actions.toggleRead), U: actions.markAllRead, "?": actions.toggleHelp,
  };
  document.addEventListener("keydown", (event) => {
    const handler = handlers[event.key];
    if (!handler || !isForList(list.root, event)) return;
    if (!event.key.startsWith("Arrow") && !shortcutSetting.isEnabled) return;
    event.preventDefault();
    handler();
  });
}

function isForList(root, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return false;
  if (event.target.closest?.("input, textarea, select, [role=tablist], [contenteditable]")) return false;
  return root.contains(event.target) || (event.target === document.body && root.dataset.inbox === "page");
}

// The help section and the checkbox that switches shortcuts off; returns a function that shows or hides the help.
export function startShortcutHelp(root) {
  const help = root.querySelector("[data-help]");
  const button = root.querySelector("[data-help-button]");
  const checkbox = help.querySelector("input");
  const toggleHelp = () => {
    help.hidden = !help.hidden;
    button.setAttribute("aria-expanded", String(!help.hidden));
  };
  button.hidden = false;
  checkbox.checked = shortcutSetting.isEnabled;
  checkbox.addEventListener("change", () => (shortcutSetting.isEnabled = checkbox.checked));
  button.addEventListener("click", toggleHelp);
  return toggleHelp;
}

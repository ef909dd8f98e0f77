// The panel below the bell button: opening moves the focus into it, Escape or a click outside closes it.
// On phones it covers the page as a modal dialog and the focus stays inside.

const phoneQuery = matchMedia("(max-width: 39.99rem)");
const FOCUSABLE = "a[href], button:not([hidden]):not(:disabled), select:not(:disabled), input:not(:disabled), [tabindex='0']";

export class NotificationPanel {
  // `onToggle` is called with true after opening and false after closing.
  constructor(bell, onToggle) {
    this.button = bell.querySelector("#bell-button");
    this.panel = bell.querySelector("#bell-panel");
    this.onToggle = onToggle;
    this.button.addEventListener("click", (event) => this.onButtonClick(event));
    this.button.addEventListener("keydown", (event) => event.key === " " && this.onButtonClick(event));
    this.panel.querySelector("[data-close]").addEventListener("click", () => this.close());
    document.addEventListener("keydown", (event) => this.onKeyDown(event));
    document.addEventListener("pointerdown", (event) => this.onPointerDown(event));
    phoneQuery.addEventListener("change", () => this.isOpen && this.setModal(phoneQuery.matches));
  }

  get isOpen() {
    return !this.panel.hidden;
  }

  onButtonClick(event) {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return; // the button is a link: let it open in a new tab
    event.preventDefault();
    if (this.isOpen) this.close();
    else this.open();
  }

  open() {
    this.panel.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.setModal(phoneQuery.matches);
    this.panel.querySelector("[data-title]").focus();
    this.onToggle(true);
  }

  // `restoreFocus` is false after a click elsewhere, which moves the focus itself.
  close(restoreFocus = true) {
    this.panel.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    this.setModal(false);
    if (restoreFocus) this.button.focus();
    this.onToggle(false);
  }

  setModal(isModal) {
    document.body.classList.toggle("modal-open", isModal);
    if (isModal) this.panel.setAttribute("aria-modal", "true");
    else this.panel.removeAttribute("aria-modal");
    document.getElementById("main").inert = isModal;
  }

  onPointerDown(event) {
    if (!this.isOpen || this.panel.contains(event.target) || this.button.contains(event.target)) return;
    if (event.target.closest?.("#toasts")) return;
    this.close(false);
  }

  onKeyDown(event) {
    if (!this.isOpen) return;
    if (event.key === "Escape") {
      event.stopImmediatePropagation();
      this.close();
    } else if (event.key === "Tab" && this.panel.hasAttribute("aria-modal")) this.trapFocus(event);
  }

  trapFocus(event) {
    const focusable = [...this.panel.querySelectorAll(FOCUSABLE)].filter((element) => element.checkVisibility() && element.tabIndex >= 0);
    const [first, last] = [focusable[0], focusable.at(-1)];
    const current = document.activeElement;
    const wouldLeave = event.shiftKey ? current === first || !focusable.includes(current) : current === last;
    if (!wouldLeave) return;
    event.preventDefault();
    (event.shiftKey ? last : first).focus();
  }
}

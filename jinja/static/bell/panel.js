// The bell's panel: opens with the focus in it, closes by Escape or a click outside and gives it back.
// On phones it is a sheet over the page, and the focus stays within.

const phone = matchMedia("(max-width: 39.99rem)");
const FOCUSABLE = "a[href], button:not([hidden]):not(:disabled), select:not(:disabled), input:not(:disabled), [tabindex='0']";

export class Panel {
  constructor(bell, turned) {
    this.bell = bell;
    this.button = bell.querySelector("#bell-button");
    this.panel = bell.querySelector("#bell-panel");
    this.turned = turned;
    this.button.addEventListener("click", (event) => this.clicked(event));
    this.button.addEventListener("keydown", (event) => event.key === " " && this.clicked(event));
    this.panel.querySelector("[data-close]").addEventListener("click", () => this.close());
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("pointerdown", (event) => this.outside(event));
    phone.addEventListener("change", () => this.isOpen && this.modal(phone.matches));
  }

  get isOpen() {
    return !this.panel.hidden;
  }

  clicked(event) {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return; // a link all the same
    event.preventDefault();
    if (this.isOpen) this.close();
    else this.open();
  }

  open() {
    this.panel.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.modal(phone.matches);
    this.panel.querySelector("[data-title]").focus();
    this.turned(true);
  }

  // `back`: whether the focus returns to the bell; after a click elsewhere it belongs there.
  close(back = true) {
    this.panel.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    this.modal(false);
    if (back) this.button.focus();
    this.turned(false);
  }

  modal(yes) {
    document.body.classList.toggle("sheet-open", yes);
    if (yes) this.panel.setAttribute("aria-modal", "true");
    else this.panel.removeAttribute("aria-modal");
    document.getElementById("main").inert = yes;
  }

  outside(event) {
    if (!this.isOpen || this.panel.contains(event.target) || this.button.contains(event.target)) return;
    if (event.target.closest?.("#toasts")) return;
    this.close(false);
  }

  key(event) {
    if (!this.isOpen) return;
    if (event.key === "Escape") {
      event.stopImmediatePropagation();
      this.close();
    } else if (event.key === "Tab" && this.panel.hasAttribute("aria-modal")) this.keepWithin(event);
  }

  keepWithin(event) {
    const all = [...this.panel.querySelectorAll(FOCUSABLE)].filter((one) => one.checkVisibility() && one.tabIndex >= 0);
    const [first, last] = [all[0], all.at(-1)];
    const at = document.activeElement;
    const leaves = event.shiftKey ? at === first || !all.includes(at) : at === last;
    if (!leaves) return;
    event.preventDefault();
    (event.shiftKey ? last : first).focus();
  }
}

// The panel of the guided tour: a landmark before the main content that does not block the page.
import { el, setText } from "../admin/dom.js";
import { ACTIONS } from "./actions.js";

function actionButton(name, result) {
  const { label, run } = ACTIONS[name];
  const button = el("button", { type: "button", class: "small tinted", "data-tour-action": name }, label);
  button.addEventListener("click", async () => {
    button.disabled = true;
    setText(result, "…");
    setText(result, await run().catch((error) => error.message));
    button.disabled = false;
    if (document.activeElement === document.body) button.focus(); // a disabled button loses the focus
  });
  return button;
}

export class TourPanel {
  // `callbacks`: onMove(change), onLeave(), onDecline(), onFinish().
  constructor(callbacks) {
    this.callbacks = callbacks;
    this.root = el("aside", { class: "tour", id: "tour", "aria-labelledby": "tour-title" });
    document.querySelector(".page-shell").before(this.root);
  }

  // `pageUrl`: where the step takes place, if that is another page than this.
  render(step, number, count, pageUrl) {
    const { onMove, onLeave, onDecline, onFinish } = this.callbacks;
    const result = el("p", { class: "muted", role: "status" });
    const isLast = number === count;
    const button = (label, className, onclick, attributes = {}) => el("button", { type: "button", class: `small ${className}`, onclick, ...attributes }, label);
    this.root.replaceChildren(
      el("p", { class: "muted" }, `Guided tour, step ${number} of ${count}`),
      el("h2", { id: "tour-title", tabindex: -1 }, step.title),
      ...step.text.map((paragraph) => el("p", {}, paragraph)),
      ...(pageUrl ? [el("p", {}, el("a", { class: "button small secondary", href: pageUrl }, "Go to the page of this step"))] : []),
      ...(step.actions ? [el("div", { class: "cluster" }, ...step.actions.map((name) => actionButton(name, result))), result] : []),
      el("div", { class: "cluster tour-moves" },
        button("Back", "secondary", () => onMove(-1), { disabled: number === 1 }),
        isLast ? button("Finish", "", onFinish) : button("Next", "", () => onMove(1)),
        button("Leave", "ghost", onLeave),
        button("Do not show again", "ghost", onDecline)),
    );
    document.body.classList.add("has-tour");
  }

  focus() {
    this.root.querySelector("h2").focus();
  }

  // For screen readers, when the panel appears without taking the focus.
  get summary() {
    return [...this.root.querySelectorAll("p, h2")].slice(0, 2).map((line) => line.textContent).join(": ");
  }

  remove() {
    this.root.remove();
    document.body.classList.remove("has-tour");
  }
}

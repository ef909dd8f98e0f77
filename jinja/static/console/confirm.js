// Asks before something is lost. The safe answer comes first.
import { el } from "./dom.js";

export function confirmed(question, yes) {
  return new Promise((answer) => {
    const no = el("button", { value: "no", type: "submit", class: "quiet" }, "Cancel");
    const go = el("button", { value: "yes", type: "submit", class: "danger" }, yes);
    const title = el("h2", { id: "confirm-title" }, question);
    const dialog = el("dialog", { class: "confirm", "aria-labelledby": "confirm-title" },
      el("form", { method: "dialog" }, title, el("div", { class: "buttons" }, no, go)));
    dialog.addEventListener("close", () => {
      answer(dialog.returnValue === "yes");
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
    no.focus();
  });
}

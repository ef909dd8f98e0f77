// A modal dialog that asks before something is lost. Cancel comes first and has the focus.
import { el } from "./dom.js";

// Resolves to whether the user confirmed.
export function confirmDialog(question, confirmLabel) {
  return new Promise((resolve) => {
    const cancelButton = el("button", { value: "no", type: "submit", class: "secondary" }, "Cancel");
    const confirmButton = el("button", { value: "yes", type: "submit", class: "danger" }, confirmLabel);
    const title = el("h2", { id: "confirm-title" }, question);
    const dialog = el("dialog", { class: "confirm", "aria-labelledby": "confirm-title" },
      el("form", { method: "dialog" }, title, el("div", { class: "buttons" }, cancelButton, confirmButton)));
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
    cancelButton.focus();
  });
}

// The limits of fields, on every page: characters left, and nothing sent that the server would refuse for its length.
// In place of minlength and maxlength, which count UTF-16 units and cut a pasted emoji in two.
// As the server counts (app/domain/text.py, normalize): code points in NFC with LF line ends.
import { noun } from "./words.js";

const length = (text) => [...text.replace(/\r\n?/g, "\n").normalize("NFC")].length;
const characters = (count) => `${count.toLocaleString("en")} ${noun(count, "character")}`;

function checkLength(field) {
  const count = length(field.value);
  const { min, max } = field.dataset;
  let fault = "";
  if (count > max) fault = `${characters(count - max)} too many`;
  else if (count && count < min) fault = `At least ${min} characters`;
  field.setCustomValidity(fault);
  const line = document.querySelector(`[data-counter="${field.id}"]`);
  if (line) line.textContent = fault || `${characters(max - count)} left`;
}

const LIMITED = "[data-min], [data-max]";
const checkAll = () => document.querySelectorAll(LIMITED).forEach(checkLength);

document.addEventListener("input", ({ target }) => {
  if (target.matches(LIMITED)) checkLength(target);
});
window.addEventListener("pageshow", checkAll); // a field keeps what was written when one comes back
checkAll();

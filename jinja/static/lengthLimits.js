// Enforces data-min and data-max of form fields and renders the number of characters left. Runs on every page.
// Used instead of minlength and maxlength, which count UTF-16 units and cut a pasted emoji in two.
// Counts like the server (app/domain/text.py `normalize`): code points in NFC with LF line ends.
import { pluralize } from "./plurals.js";

const countCharacters = (text) => [...text.replace(/\r\n?/g, "\n").normalize("NFC")].length;
const formatCharacters = (count) => `${count.toLocaleString("en")} ${pluralize(count, "character")}`;

function checkLength(field) {
  const count = countCharacters(field.value);
  const { min, max } = field.dataset;
  let error = "";
  if (count > max) error = `${formatCharacters(count - max)} too many`;
  else if (count && count < min) error = `At least ${min} characters`;
  field.setCustomValidity(error);
  const counter = document.querySelector(`[data-counter="${field.id}"]`);
  if (counter) counter.textContent = error || `${formatCharacters(max - count)} left`;
}

const LIMITED_FIELDS = "[data-min], [data-max]";
const checkAll = () => document.querySelectorAll(LIMITED_FIELDS).forEach(checkLength);

document.addEventListener("input", ({ target }) => {
  if (target.matches(LIMITED_FIELDS)) checkLength(target);
});
window.addEventListener("pageshow", checkAll); // browsers restore field values when the user navigates back
checkAll();

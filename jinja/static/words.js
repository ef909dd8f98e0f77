// Numbers with their nouns, as jinja/macros.html `noun` writes them: "1 follower", "2 followers".
export const noun = (count, one) => (Number(count) === 1 ? one : `${one}s`);
export const counted = (count, one) => `${count} ${noun(count, one)}`;

// A number on the page, and beside it the noun that agrees with it (data-noun-of: the noun for one).
export function paintCount(number, count) {
  number.textContent = count;
  const beside = number.parentElement.querySelector("[data-noun-of]");
  if (beside) beside.textContent = noun(count, beside.dataset.nounOf);
}

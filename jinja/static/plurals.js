// English plurals of counted nouns, as in jinja/macros.html `plural_noun`: "1 follower", "2 followers".
export const pluralize = (count, singular) => (Number(count) === 1 ? singular : `${singular}s`);
export const formatCount = (count, singular) => `${count} ${pluralize(count, singular)}`;

// Renders a count, and the noun beside it (data-singular holds its singular form).
export function renderCount(element, count) {
  element.textContent = count;
  const noun = element.parentElement.querySelector("[data-singular]");
  if (noun) noun.textContent = pluralize(count, noun.dataset.singular);
}

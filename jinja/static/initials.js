// The letters of a drawn avatar, as the server finds them (app/domain/text.py, initials).
const graphemes = new Intl.Segmenter();

export function initials(name) {
  const words = name.split(/\s+/).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  return words.slice(0, 2).map((word) => [...graphemes.segment(word)][0].segment).join("").toUpperCase() || "?";
}

// Initials of a name for a text avatar, the same as on the server (app/domain/text.py `initials`).
const graphemeSegmenter = new Intl.Segmenter();

export function initials(name) {
  const words = name.split(/\s+/).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  return words.slice(0, 2).map((word) => [...graphemeSegmenter.segment(word)][0].segment).join("").toUpperCase() || "?";
}

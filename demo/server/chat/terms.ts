/** Words that are in every text and say nothing of what it is about. */
const STOP_WORDS: ReadonlySet<string> = new Set(
  (
    "hello hey hi thanks " +
    "a about all also an and any are as at be been but by can could did do does for from get had has have he her his how " +
    "i if in into is it its just like may me more my no not of on one or our please she should so some tell than that " +
    "the their them then there they this to too us use was we were what when where which who why will with would you your"
  ).split(" "),
);

/**
 * The words of a text in the form in which they are compared: lower case, without endings, and with the parts of names
 * such as `streamSSE` beside the whole.
 */
export function termsOf(text: string): string[] {
  const terms: string[] = [];
  for (const [word] of text.matchAll(/[\p{L}\p{N}_]+/gu)) {
    const whole = word.toLowerCase();
    if (!STOP_WORDS.has(whole)) terms.push(stem(whole));
    const parts = word.match(/\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+|\p{N}+/gu) ?? [];
    if (parts.length > 1) terms.push(...parts.map((part) => stem(part.toLowerCase())));
  }
  return terms;
}

/** Takes off the commonest English endings, so that "reconnects" and "reconnecting" meet. Crude, but the same for all. */
function stem(word: string): string {
  if (word.length < 4) return word;
  let root = word.replace(/ies$/, "y").replace(/(?<=[^su])s$/, "");
  root = root.replace(/(?<=.{3})(?:ing|ed)$/, "");
  return root.replace(/([^aeiouls])\1$/, "$1").replace(/(?<=.{3})e$/, "");
}

import type { Passage } from "./passages.ts";
import type { Hit, SearchIndex } from "./search.ts";

/** A passage that covers less of the question than this is about something else. */
const MIN_COVERAGE = 0.34;
/** Passages that rank lower than this part of the best one are left out. */
const MIN_SCORE = 0.55;
const MAX_QUOTED = 2;
const MAX_NAMED = 3;

const WHO = "I am the built-in docs assistant, no language model:";

/** The answer to a question, in Markdown: what the assistant is, then the best passages word for word, or what to ask. */
export function composeAnswer(question: string, index: SearchIndex): string {
  const hits = index.search(question).filter(({ coverage }) => coverage >= MIN_COVERAGE);
  const best = hits[0];
  if (best === undefined) return nothingFound(index);
  const close = hits.filter(({ score }) => score >= best.score * MIN_SCORE);
  const quoted = close.slice(0, MAX_QUOTED);
  const parts = [`${WHO} this is what everstream's own documents say about it.`, ...quoted.map(quote)];
  const places = new Set(quoted.map(({ passage }) => placeOf(passage)));
  const more = new Set(close.slice(MAX_QUOTED).map(({ passage }) => placeOf(passage)));
  const named = [...more].filter((place) => !places.has(place)).slice(0, MAX_NAMED);
  if (named.length > 0) parts.push(`See also ${named.join("; ")}.`);
  return parts.join("\n\n");
}

function quote({ passage }: Hit): string {
  return `**${placeOf(passage)}**\n\n${passage.text}`;
}

function placeOf({ document, headings }: Passage): string {
  return [document, ...headings.slice(1)].join(" › ");
}

function nothingFound({ passages }: SearchIndex): string {
  const apology = `${WHO} I can only look things up in everstream's own documents, and found nothing about that.`;
  const topics = new Set(passages.flatMap(({ headings }) => headings.slice(1, 2)));
  if (topics.size === 0) return apology;
  const some = [...topics].slice(0, 5).map((topic) => `"${topic}"`);
  return `${apology} They have sections on ${some.join(", ")}, for example. Set OPENAI_API_KEY to talk to a model instead.`;
}

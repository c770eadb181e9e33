import type { Passage } from "./passages.ts";
import { termsOf } from "./terms.ts";

export interface Hit {
  readonly passage: Passage;
  readonly score: number;
  /** How much of the question's weight the passage's words cover, from 0 to 1. Rare words weigh more. */
  readonly coverage: number;
}

export interface SearchIndex {
  readonly passages: readonly Passage[];
  /** Passages that share words with the question, best first. */
  search(question: string): Hit[];
}

/** Okapi BM25's constants: how soon repetition stops counting, and how much long passages are held back. */
const K1 = 1.2;
const B = 0.75;
/** A word in a heading says more of a passage than one in its text. */
const HEADING_WEIGHT = 3;
/** Who asks here mostly wants to use the package; what is written for those who work on it comes second. */
const INWARD_WEIGHT = 0.7;
const INWARD = /^(ARCHITECTURE|CHANGELOG|CONTRIBUTING|SECURITY)\b/;

interface Entry {
  readonly passage: Passage;
  readonly counts: ReadonlyMap<string, number>;
  readonly length: number;
}

/** An index over passages, ranked by Okapi BM25 (Robertson and Zaragoza, 2009). */
export function createIndex(passages: readonly Passage[]): SearchIndex {
  const entries = passages.map(entryOf);
  const containing = new Map<string, number>();
  for (const { counts } of entries) {
    for (const term of counts.keys()) containing.set(term, (containing.get(term) ?? 0) + 1);
  }
  const meanLength = entries.reduce((sum, { length }) => sum + length, 0) / Math.max(entries.length, 1);

  const weightOf = (term: string): number => {
    const count = containing.get(term) ?? 0;
    return Math.log(1 + (entries.length - count + 0.5) / (count + 0.5));
  };

  return {
    passages,
    search: (question) => {
      const terms = [...new Set(termsOf(question))].map((term) => ({ term, weight: weightOf(term) }));
      const total = terms.reduce((sum, { weight }) => sum + weight, 0);
      const hits = entries.map(({ passage, counts, length }): Hit => {
        let score = 0;
        let covered = 0;
        for (const { term, weight } of terms) {
          const count = counts.get(term);
          if (count === undefined) continue;
          score += (weight * count * (K1 + 1)) / (count + K1 * (1 - B + (B * length) / meanLength));
          covered += weight;
        }
        if (INWARD.test(passage.document)) score *= INWARD_WEIGHT;
        return { passage, score, coverage: total === 0 ? 0 : covered / total };
      });
      return hits.filter(({ score }) => score > 0).sort((a, b) => b.score - a.score);
    },
  };
}

function entryOf(passage: Passage): Entry {
  const counts = new Map<string, number>();
  const add = (text: string, weight: number): number => {
    const terms = termsOf(text);
    for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + weight);
    return terms.length;
  };
  const length = add(passage.text, 1) + add(passage.headings.join(" "), HEADING_WEIGHT);
  return { passage, counts, length };
}

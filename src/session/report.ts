/** Where a failure goes that no caller is left to hear of. */
export function report(what: string, error: unknown): void {
  console.error(`everstream: ${what}:`, error);
}

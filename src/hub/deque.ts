/** How many taken items may lie at the front before they are cleared away. */
const MIN_GARBAGE = 32;

/** A queue over one array, whose front is cleared away when it is half of it: O(1) at both ends in the mean. */
export class Deque<Item> {
  #items: (Item | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  at(index: number): Item | undefined {
    return this.#items[this.#head + index];
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head >= MIN_GARBAGE && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  clear(): void {
    this.#items.length = 0;
    this.#head = 0;
  }
}

/** The index of the first item whose sequence is over `sequence`, in items that rise; their number where none is. */
export function indexAfter(
  items: { readonly length: number; at(index: number): { readonly sequence: number } | undefined },
  sequence: number,
): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((items.at(middle)?.sequence ?? 0) > sequence) high = middle;
    else low = middle + 1;
  }
  return low;
}

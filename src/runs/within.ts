/** Resolves when `work` is done, or after `ms`; at once for none. */
export async function within(ms: number, work: () => Promise<unknown>): Promise<void> {
  if (ms <= 0) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await Promise.race([late, work()]);
  } finally {
    clearTimeout(timer);
  }
}

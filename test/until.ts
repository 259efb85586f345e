/** Waits for a condition, looking at it every few milliseconds. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 20_000,
): Promise<void> {
  for (const startMs = performance.now(); !(await condition()); await new Promise((resolve) => setTimeout(resolve, 5)))
    if (performance.now() - startMs > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`);
}

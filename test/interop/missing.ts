/** Tests that need what the machine lacks are skipped with the reason in the output; under CI they must not be. */
export function missing(lacks: boolean, what: string): boolean {
  if (!lacks) return false;
  if (process.env.CI === 'true') throw new Error(`CI must have ${what}`);
  console.log(`skipped: this machine lacks ${what}`);
  return true;
}

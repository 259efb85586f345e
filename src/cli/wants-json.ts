/** Whether the arguments request JSON. The errors of parsing come before any flag is parsed. */
export function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  const flags = end === -1 ? argv : argv.slice(0, end);
  return flags.some(
    (word, at) =>
      word === '--json' ||
      /^(--output=|-o=?)jsonl?$/.test(word) ||
      (/^(--output|-o)$/.test(word) && /^jsonl?$/.test(flags[at + 1] ?? '')),
  );
}

/** The steps at which a store is killed. */
type Batch = 'records' | 'seal' | 'close' | 'floor' | 'head' | 'zeros';

export type KillPoint =
  | `${Batch} ${'before' | 'half' | 'written'}`
  | 'file created'
  | 'file renamed'
  | 'file removed'
  | `${'file' | 'directory'} ${'before sync' | 'synced'}`
  | `book ${'before apply' | 'while it applies' | 'applied' | 'before checkpoint' | 'while it saves' | 'saved'}`
  | 'loaded';

/** With how often each is passed before the kill, at most: the first times belong to the start. */
export const killPoints: readonly (readonly [KillPoint, number])[] = [
  ...(['before', 'half', 'written'] as const).flatMap(
    (moment) =>
      [
        [`records ${moment}`, 60],
        [`seal ${moment}`, 2],
        [`close ${moment}`, 8],
        [`floor ${moment}`, 8],
        [`head ${moment}`, 4],
        [`zeros ${moment}`, 4],
      ] as const,
  ),
  ['file created', 2],
  ['file renamed', 6],
  ['file removed', 1],
  ['file before sync', 6],
  ['file synced', 6],
  ['directory before sync', 6],
  ['directory synced', 6],
  ['book before apply', 20],
  ['book while it applies', 20],
  ['book applied', 20],
  ['book before checkpoint', 8],
  ['book while it saves', 8],
  ['book saved', 8],
  ['loaded', 1],
];

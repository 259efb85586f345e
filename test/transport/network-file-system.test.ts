import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { networkWarning } from '../../src/transport/network-file-system.ts';
import { missing } from '../interop/missing.ts';
import { brokerOn } from '../store/broker.ts';

const statfsSync = vi.hoisted(() => vi.fn());
vi.mock('node:fs', async (load) => {
  const real = await load<typeof import('node:fs')>();
  return { ...real, statfsSync: statfsSync.mockImplementation(real.statfsSync) };
});

const onLinux = test.skipIf(missing(process.platform !== 'linux', 'the file systems of Linux'));

onLinux.each([
  [0x6969, 'NFS'],
  [0x01021997, '9P'],
  [0xff534d42 | 0, 'CIFS'], // as a signed number
  [0xfe534d42, 'SMB 2'],
  [0x65735546, 'FUSE'],
])('type %i is told as %s', (type, name) => {
  expect(networkWarning('/far', () => ({ type }))).toMatch(new RegExp(`^/far lies on ${name}, .*--state-dir`));
});

test('a local one, and one that cannot be looked at, are not', () => {
  expect(networkWarning('/near', () => ({ type: 0xef53 }))).toBeUndefined();
  expect(networkWarning('/nowhere/at/all')).toBeUndefined();
});

onLinux('a broker tells it when it starts there, and runs', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'deye-far-'));
  try {
    statfsSync.mockReturnValueOnce({ type: 0x6969 });
    await using far = await brokerOn(directory);
    expect(far.warnings).toEqual([expect.stringContaining(`${directory} lies on NFS`)]);
    await far.stop();
    await using near = await brokerOn(directory);
    expect(near.warnings).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

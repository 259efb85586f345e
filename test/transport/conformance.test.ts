import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe } from 'vitest';
import { transportConformance } from '../conformance/transport.ts';

const root = mkdtempSync(join(tmpdir(), 'deye-conform-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let made = 0;

describe('unix', () => {
  transportConformance(() => ({ scheme: 'unix', path: join(root, `u${++made}`, 'broker.sock') }), 'directory');
});
describe('pipe', () => {
  transportConformance(() => ({ scheme: 'pipe', directory: join(root, `p${++made}`) }), 'token');
});
describe('memory', () => {
  transportConformance(() => ({ scheme: 'memory', name: `m${++made}` }), 'process');
});

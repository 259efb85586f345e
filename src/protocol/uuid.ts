/** UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds since the epoch, then random. Sorts by time. */
import { randomBytes } from 'node:crypto';

// A pool, since one call for sixteen bytes costs more than the whole id.
const pool = { bytes: Buffer.alloc(0), at: 0 };

export function uuidv7(nowMs = Date.now()): string {
  if (pool.at + 10 > pool.bytes.length) {
    pool.bytes = randomBytes(10 * 256);
    pool.at = 0;
  }
  const random = pool.bytes.subarray(pool.at, pool.at + 10);
  pool.at += 10;
  random[0] = (random[0]! & 0x0f) | 0x70;
  random[2] = (random[2]! & 0x3f) | 0x80;
  const time = Math.floor(nowMs).toString(16).padStart(12, '0');
  const tail = random.toString('hex');
  return `${time.slice(0, 8)}-${time.slice(8)}-${tail.slice(0, 4)}-${tail.slice(4, 8)}-${tail.slice(8)}`;
}

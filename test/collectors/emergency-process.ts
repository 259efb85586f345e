/** A process of a collector that would never end by itself: its timer goes on, and so does its stop. */
import { writeSync } from 'node:fs';
import { Hosted } from './hosted.ts';

setInterval(() => {}, 60_000);
process.on('exit', (code) => writeSync(1, `exits with ${code}\n`));
const hosted = new Hosted({ stop: () => new Promise(() => {}) }, { signals: true });
const peer = await hosted.registered();
await hosted.call(peer, 'shutdown', { type: 'emergency' });

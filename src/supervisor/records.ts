/**
 * The children that run, written down in the state directory: one that outlives a killed broker is found by the next
 * one, which takes it back or ends it before it starts another.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { identify, type ProcessIdentity } from './identity.ts';

const fileSchema = z.record(z.string(), z.object({ pid: z.number().int().min(1), started: z.string().optional() }));

export class ChildRecords {
  readonly #path: string | undefined;
  readonly #failed: (error: Error) => void;
  readonly #byId: Map<string, ProcessIdentity>;

  /** Without a path nothing is written down. */
  constructor(path: string | undefined, failed: (error: Error) => void) {
    this.#path = path;
    this.#failed = failed;
    this.#byId = new Map(path === undefined ? [] : Object.entries(read(path)));
  }

  ids(): string[] {
    return [...this.#byId.keys()];
  }

  get(id: string): ProcessIdentity | undefined {
    return this.#byId.get(id);
  }

  set(id: string, pid: number): void {
    this.#byId.set(id, identify(pid));
    this.#write();
  }

  delete(id: string): void {
    if (this.#byId.delete(id)) this.#write();
  }

  #write(): void {
    if (this.#path === undefined) return;
    try {
      writeFileSync(`${this.#path}.new`, JSON.stringify(Object.fromEntries(this.#byId)), { mode: 0o600 });
      renameSync(`${this.#path}.new`, this.#path);
    } catch (error) {
      this.#failed(error as Error); // a full disk, for example; the children run all the same
    }
  }
}

function read(path: string): Record<string, ProcessIdentity> {
  try {
    return fileSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return {}; // there is none, or it is damaged: then nothing is known, as on the first start
  }
}

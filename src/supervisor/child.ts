/** A collector that is looked after: what was declared, and how its process is. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { CollectorView } from '../protocol/collector-schema.ts';
import { childEnvironment } from './environment.ts';
import { LineCutter } from './lines.ts';

export interface Declared {
  readonly id: string;
  readonly type: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly inherit_env: boolean | readonly string[];
  readonly working_dir?: string | undefined;
  readonly auto_restart: boolean;
  readonly max_restarts: number;
  readonly restart_window_ms: number;
  readonly backoff_ms: number;
  readonly startup_timeout_ms: number;
}

export type ChildState = 'starting' | 'running' | 'restarting' | 'quarantined' | 'stopping' | 'stopped';

export interface Child {
  readonly declared: Declared;
  state: ChildState;
  reason: string;
  sinceAtMs: number;
  process: ChildProcess | undefined;
  /** A process that an earlier broker started: it came back to this one, or is given the time to. */
  inheritedPid: number | undefined;
  /** When it ended by itself within the restart window, in monotonic ms. */
  restartsMs: number[];
  timer: NodeJS.Timeout | undefined;
}

export const newChild = (declared: Declared, state: ChildState, reason: string): Child => ({
  declared,
  state,
  reason,
  sinceAtMs: Date.now(),
  process: undefined,
  inheritedPid: undefined,
  restartsMs: [],
  timer: undefined,
});

/** Starts the program; each line that it prints goes to `line`. Throws as `spawn` does. */
export function spawnDeclared(declared: Declared, lineBytesMax: number, line: (text: string) => void): ChildProcess {
  const started = spawn(declared.command, declared.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: childEnvironment(declared.inherit_env, declared.env, process.env),
    ...(declared.working_dir === undefined ? {} : { cwd: declared.working_dir }),
  });
  for (const stream of [started.stdout, started.stderr]) {
    const cutter = new LineCutter(lineBytesMax, line);
    stream.on('data', (chunk: Buffer) => cutter.feed(chunk)).on('close', () => cutter.end());
  }
  return started;
}

/** Why a program could not be started, and whether to try it again as it is makes sense. */
export function explainFailure(
  { command, working_dir }: Declared,
  { code, message }: NodeJS.ErrnoException,
): { reason: string; lasting: boolean } {
  const lasting = (why: string) => ({ reason: `it cannot be started: ${why}`, lasting: true });
  if (working_dir !== undefined && !existsSync(working_dir))
    return lasting(`its working_dir ${working_dir} is not there`);
  if (code === 'ENOENT')
    return lasting(`the program ${command} is not ${command.includes('/') ? 'there' : 'in the PATH'}`);
  if (code === 'EACCES') return lasting(`the program ${command} may not be executed`);
  return { reason: `it cannot be started: ${message}`, lasting: false };
}

const statuses = {
  starting: 'starting',
  running: 'starting', // until it registers; then the broker knows more
  restarting: 'starting',
  quarantined: 'quarantined',
  stopping: 'draining',
  stopped: 'stopped',
} as const satisfies Record<ChildState, CollectorView['status']>;

/** A collector that is not registered, as the lists show it. */
export function viewOf({ declared, state, reason, sinceAtMs, process: running, restartsMs }: Child): CollectorView {
  return {
    collector_id: declared.id,
    collector_type: declared.type,
    version: '',
    hostname: '',
    pid: running?.pid ?? 0,
    operations: [],
    capabilities: [],
    labels: {},
    metadata: restartsMs.length > 0 ? { restarts: String(restartsMs.length) } : {},
    weight: 0,
    status: statuses[state],
    status_reason: reason,
    status_changed_at_ms: sinceAtMs,
    tasks_in_progress: 0,
    max_concurrent_tasks: 0,
    completed: 0,
    failed: 0,
    last_heartbeat_at_ms: 0,
    confidence: 0,
    supervised: true,
  };
}

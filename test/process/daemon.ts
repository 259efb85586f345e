/** The built program as real processes, each world in a directory of its own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Client, type ConnectOptions, connect } from '../../src/index.ts';
import { until } from '../broker/harness.ts';

export const main = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class World implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'deye-world-'));
  readonly socket = join(this.directory, 'run', 'broker.sock');
  readonly state: string;
  readonly env: Record<string, string | undefined>;
  readonly #children = new Set<ChildProcess>();

  constructor(state?: string) {
    this.state = state ?? join(this.directory, 'state');
    this.env = {
      ...process.env,
      DEYE_SOCKET: this.socket,
      DEYE_STATE_DIR: this.state,
      XDG_CONFIG_HOME: join(this.directory, 'config'),
      XDG_CACHE_HOME: join(tmpdir(), 'deye-test-cache'),
      NO_COLOR: '1',
      FORCE_COLOR: undefined,
    };
  }

  /** Runs `deye …` to its end. */
  run(
    args: readonly string[],
    options: { input?: string; env?: Record<string, string>; cwd?: string } = {},
  ): Promise<Ran> {
    return new Promise((resolve) => {
      const child = execFile(
        process.execPath,
        [main, ...args],
        {
          env: { ...this.env, ...options.env },
          maxBuffer: 64 * 1024 * 1024,
          ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        },
        (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : ((error as { code?: number }).code ?? -1), stdout, stderr }),
      );
      child.stdin?.end(options.input ?? '');
    });
  }

  /** Starts `deye …` and leaves it running. */
  spawn(...args: string[]): ChildProcess {
    const child = spawn(process.execPath, [main, ...args], {
      env: this.env as NodeJS.ProcessEnv,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** Starts `deye …` through a line of shell, which gets it as "$0" "$@". */
  shell(line: string, ...args: string[]): ChildProcess {
    const child = spawn('bash', ['-c', line, process.execPath, main, ...args], {
      env: this.env as NodeJS.ProcessEnv,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** Runs a module given as text, in this world. */
  spawnScript(text: string): ChildProcess {
    const child = spawn(process.execPath, ['--input-type=module', '-e', text], {
      env: this.env as NodeJS.ProcessEnv,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** Waits until the child has printed the text. */
  async said(child: ChildProcess, text: string): Promise<void> {
    let output = '';
    child.stdout!.on('data', (chunk) => (output += chunk));
    await until(() => output.includes(text), `it says ${text}`);
  }

  /** A collector in whose hands an attempt is that never ends; its broker runs. */
  async heldAttempt(): Promise<ChildProcess> {
    const collector = this.spawnScript(`
      import { defineCollector } from ${JSON.stringify(new URL('../../dist/src/index.js', import.meta.url).href)};
      await defineCollector({ type: 't', operations: { hold: () => new Promise(() => {}) } }).run({ id: 'c', onReady: () => console.log('ready') });
    `);
    await this.said(collector, 'ready');
    const client = await this.client();
    await client.submit({ operation: 'hold' });
    await until(async () => (await client.request('broker.snapshot', {})).in_progress === 1, 'it is held');
    await client.close();
    return collector;
  }

  /** A broker in the foreground that is ready. */
  async broker(...args: string[]): Promise<ChildProcess> {
    const child = this.spawn('broker', 'start', '--foreground', '--no-collectors', ...args);
    let errors = '';
    child.stderr!.on('data', (chunk) => (errors += chunk));
    await until(async () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the broker ended: ${errors}`);
      return (await this.run(['broker', 'status', '--json'])).code === 0;
    }, 'the broker is ready');
    return child;
  }

  /** Waits until a connection is taken. */
  ready(): Promise<void> {
    const answers = () =>
      this.client({ reconnect: false }).then(
        (client) => client.close().then(() => true),
        () => false,
      );
    return until(answers, 'the broker answers');
  }

  client(options: ConnectOptions = {}): Promise<Client> {
    return connect({ socket: this.socket, name: 'test', ...options });
  }

  /** A failed test may leave a broker that cannot be reached any more. */
  #endBackground(): void {
    const file = join(this.state, 'broker.json');
    if (!existsSync(file)) return;
    const { pid } = JSON.parse(readFileSync(file, 'utf8')) as { pid: number };
    if (belongsTo(this, pid)) process.kill(pid, 'SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run(['broker', 'stop', '--immediate']);
    this.#endBackground();
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The process of this world, and not another that has its pid by now. */
function belongsTo(world: World, pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`${world.directory}/`);
  } catch {
    return false; // it is gone, or this system does not say
  }
}

export function ended(child: ChildProcess): Promise<void> {
  return child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once('exit', () => resolve()));
}

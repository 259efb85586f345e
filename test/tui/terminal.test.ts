import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { until } from '../broker/harness.ts';
import { missing } from '../interop/missing.ts';
import { main, World } from '../process/daemon.ts';

const hasTmux = (() => {
  try {
    execFileSync('tmux', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

test.skipIf(missing(!hasTmux, 'tmux'))(
  'in a real terminal: live, resized, through a restart of the broker, and gone without a trace',
  async () => {
    await using world = new World();
    expect((await world.run(['up'])).code).toBe(0);
    const tmux = (...args: string[]) =>
      execFileSync('tmux', ['-S', `${world.directory}/tmux.sock`, '-f', '/dev/null', ...args], {
        encoding: 'utf8',
        // A person's terminal is in no CI.
        env: { ...world.env, CI: undefined, TERM: 'xterm-256color' } as NodeJS.ProcessEnv,
      });
    const screen = () => tmux('capture-pane', '-p', '-t', 'top');
    const styled = () => tmux('capture-pane', '-p', '-e', '-t', 'top');
    const colour = /\p{Cc}\[(\d+;)*(3[0-8]|9[0-7])[;m]/u;
    tmux('new-session', '-d', '-s', 'top', '-x', '80', '-y', '24', 'sh');
    try {
      tmux('send-keys', '-t', 'top', `clear; ${process.execPath} ${main} top; echo left with $?`, 'Enter');
      await until(() => /live/.test(screen()) && /procmond +healthy/.test(screen()), 'it is live');
      // The world asks for no colour; what is bold or inverse stays.
      expect(styled()).not.toMatch(colour);
      expect(styled()).toContain('\u001b[');
      await world.run(['task', 'submit', 'enumerate_processes', '--wait']);
      await until(() => /enumerate_processes +0/.test(screen()), 'the queue appears');
      tmux('resize-window', '-t', 'top', '-x', '120', '-y', '30');
      await until(
        () => /MEMORY/.test(screen()) && screen().trimEnd().split('\n').length >= 28,
        'it fills the larger window',
      );
      await world.run(['broker', 'stop', '--immediate']);
      await until(() => /broker gone/.test(screen()), 'it says that the broker is gone');
      expect(screen()).toMatch(/enumerate_processes/);
      expect((await world.run(['up'])).code).toBe(0);
      await until(() => /live/.test(screen()) && !/broker gone/.test(screen()), 'it is live again', 40_000);
      tmux('send-keys', '-t', 'top', 'q');
      await until(() => /left with 0/.test(screen()), 'it left');
      expect(screen()).not.toMatch(/procmond/);
      tmux('send-keys', '-t', 'top', `clear; NO_COLOR= ${process.execPath} ${main} top`, 'Enter');
      await until(() => colour.test(styled()), 'it is in colour');
    } finally {
      tmux('kill-server');
    }
  },
);

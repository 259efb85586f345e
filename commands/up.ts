import { Flags } from '@oclif/core';
import { bannerText, bringUp, troubleText } from '../src/cli/banner.ts';
import { DeyeCommand } from '../src/cli/command.ts';
import { stateDirFlag } from '../src/cli/flags.ts';
import { progressLines } from '../src/cli/progress.ts';

export default class Up extends DeyeCommand {
  static override summary = 'Start what is not running, wait until all of it is healthy, and say where it is.';
  static override description = 'Exits with 1 when a collector did not become healthy within a minute.';
  static override examples = ['<%= config.bin %> up', '<%= config.bin %> up --json'];
  static override flags = {
    'state-dir': stateDirFlag('where tasks are kept'),
    config: Flags.file({ description: 'configuration file instead of ./deye.yaml', env: 'DEYE_CONFIG' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Up);
    const options = { socket: flags.socket, stateDir: flags['state-dir'], file: flags.config, collectors: true };
    const up = await bringUp(options, (socket) => this.connect({ socket }), progressLines());
    if (!up.healthy) process.exitCode = 1;
    await this.print(up, flags, () => bannerText(up, options));
    for (const line of [...up.warnings, ...troubleText(up)]) this.note(line);
  }
}

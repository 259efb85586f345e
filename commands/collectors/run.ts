import { Args, Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { UsageError } from '../../src/cli/error.ts';
import { builtin } from '../../src/collectors/builtin.ts';
import { findSocket } from '../../src/configuration/place.ts';

export default class CollectorsRun extends DeyeCommand {
  static override summary = 'Run a built-in collector in the foreground.';
  static override description =
    'It works until SIGTERM or Ctrl-C, then takes no more tasks, finishes those it has and ends. A second Ctrl-C ends it at once.';
  static override examples = [
    '<%= config.bin %> collectors run procmond',
    '<%= config.bin %> collectors run procmond --id procmond-2',
  ];
  static override args = { type: Args.string({ required: true, description: 'procmond' }) };
  static override flags = {
    id: Flags.string({ description: 'its id; default the type and the pid', env: 'DEYE_COLLECTOR_ID' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(CollectorsRun);
    const make = Object.hasOwn(builtin, args.type) ? builtin[args.type] : undefined;
    if (make === undefined)
      throw new UsageError(
        `There is no built-in collector "${args.type}". There is: ${Object.keys(builtin).join(', ')}.`,
      );
    const { value: socket } = await findSocket(flags.socket);
    for (const name of ['SIGINT', 'SIGTERM']) process.removeAllListeners(name); // they mean: drain
    process.title = `deye-${args.type}`;
    const collector = await make();
    await collector.run({
      ...(flags.id === undefined ? {} : { id: flags.id }),
      socket,
      onReady: (id) => this.note(`${id} is connected and takes tasks.`),
    });
  }
}

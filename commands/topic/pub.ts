import { Args, Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { readJson } from '../../src/cli/input.ts';

export default class TopicPub extends DeyeCommand {
  static override summary = 'Publish a message on a topic.';
  static override description =
    'Waits for the ack, which says how many subscribers were handed the message. With --realtime it is sent without one.';
  static override examples = [
    `<%= config.bin %> topic pub alerts.disk '{"full":true}'`,
    'date +%s | <%= config.bin %> topic pub clock.tick -',
  ];
  static override args = {
    topic: Args.string({ required: true, description: 'such as alerts.disk.full' }),
    body: Args.string({ description: 'JSON, - for standard input, or @file', default: 'null' }),
  };
  static override flags = { realtime: Flags.boolean({ description: 'send without a ack' }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(TopicPub);
    const body = await readJson(args.body, 'body');
    const client = await this.connect(flags);
    if (flags.realtime) return void client.publish(args.topic, body);
    const ack = await client.publish(args.topic, body, { confirm: true });
    await this.print(ack, flags, () =>
      ack.subscribers === 0 ? 'Nobody listens on this topic.' : `Handed to ${ack.subscribers}.`,
    );
  }
}

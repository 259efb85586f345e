import { Args, Flags } from '@oclif/core';
import { DeyeCommand } from '../../src/cli/command.ts';
import { readJson } from '../../src/cli/input.ts';
import { publishRealtime } from '../../src/cli/realtime.ts';
import { counted } from '../../src/text/quantity.ts';

export default class TopicPub extends DeyeCommand {
  static override summary = 'Publish a message on a topic.';
  static override description =
    'Waits for the ack, which says how many subscribers the message was delivered to. With --realtime there is none; the command still ends with an error when the broker refused the message.';
  static override examples = [
    `<%= config.bin %> topic pub alerts.disk '{"full":true}'`,
    'date +%s | <%= config.bin %> topic pub clock.tick -',
  ];
  static override args = {
    topic: Args.string({ required: true, description: 'such as alerts.disk.full' }),
    body: Args.string({ description: 'JSON, - for standard input, or @file', default: 'null' }),
  };
  static override flags = {
    realtime: Flags.boolean({ description: 'send without an ack: a full subscriber loses it' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(TopicPub);
    const body = await readJson(args.body, 'body');
    const client = await this.connect(flags);
    if (flags.realtime) {
      await publishRealtime(client, args.topic, body);
      return this.print({ sent: true }, flags, () => 'Sent.');
    }
    const ack = await client.publish(args.topic, body, { confirm: true });
    await this.print(ack, flags, () =>
      ack.subscribers === 0
        ? 'Nobody subscribes to this topic.'
        : `Delivered to ${counted(ack.subscribers, 'subscriber')}.`,
    );
  }
}

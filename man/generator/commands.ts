/** deye.1 and a page for every command, from the manifest that oclif makes of the code. */
import { exitTable } from '../../src/cli/exit.ts';
import { configurationSections } from './configuration.ts';
import { example, header, heading, page, paragraph, term } from './roff.ts';

interface ManifestFlag {
  readonly name: string;
  readonly char?: string;
  readonly description?: string;
  readonly type: 'boolean' | 'option';
  readonly default?: unknown;
  readonly options?: readonly string[];
  readonly allowNo?: boolean;
  readonly multiple?: boolean;
  readonly env?: string;
  readonly hidden?: boolean;
  readonly helpGroup?: string;
}

interface ManifestCommand {
  readonly id: string;
  readonly summary?: string;
  readonly description?: string;
  readonly aliases: readonly string[];
  readonly args: Readonly<
    Record<
      string,
      {
        readonly name: string;
        readonly description?: string;
        readonly required?: boolean;
        readonly options?: readonly string[];
        readonly default?: unknown;
      }
    >
  >;
  readonly flags: Readonly<Record<string, ManifestFlag>>;
  readonly examples?: readonly (string | { readonly description: string; readonly command: string })[];
}

export interface Manifest {
  readonly version: string;
  readonly commands: Readonly<Record<string, ManifestCommand>>;
}

const words = (id: string): string => id.replaceAll(':', ' ');
const pageName = (id: string): string => `deye-${id.replaceAll(':', '-')}`;

export function commandPages(manifest: Manifest): Map<string, string> {
  const commands = Object.values(manifest.commands)
    .filter(({ id }) => id !== 'help')
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const pages = new Map<string, string>();
  for (const command of commands) pages.set(`${pageName(command.id)}.1`, commandPage(command, manifest.version));
  pages.set('deye.1', overview(commands, manifest.version));
  return pages;
}

function commandPage(command: ManifestCommand, version: string): string {
  const flags = Object.values(command.flags).filter(({ hidden }) => hidden !== true);
  const args = Object.values(command.args);
  const synopsis = [
    `deye ${words(command.id)}`,
    ...args.map(({ name, required }) => (required === true ? name.toUpperCase() : `[${name.toUpperCase()}]`)),
    '[FLAGS]',
  ].join(' ');
  return page(
    header(pageName(command.id), 1, 'deye manual', version),
    heading('name'),
    `${pageName(command.id).replaceAll('-', '\\-')} \\- ${(command.summary ?? '').replace(/\.$/, '').replaceAll('-', '\\-')}`,
    heading('synopsis'),
    paragraph(synopsis),
    ...(command.description === undefined ? [] : [heading('description'), paragraph(command.description)]),
    ...(args.length === 0
      ? []
      : [
          heading('arguments'),
          ...args.map(({ name, description = '', options, default: value }) =>
            term(
              name.toUpperCase(),
              `${description}${options === undefined ? '' : `; one of ${options.join(', ')}`}${value === undefined ? '' : `; default ${String(value)}`}`,
            ),
          ),
        ]),
    heading('flags'),
    ...flags
      .toSorted(
        (a, b) => Number(a.helpGroup === 'GLOBAL') - Number(b.helpGroup === 'GLOBAL') || (a.name < b.name ? -1 : 1),
      )
      .map((flag) => term(flagName(flag), flagText(flag))),
    ...(command.aliases.length === 0
      ? []
      : [heading('aliases'), paragraph(command.aliases.map((alias) => `deye ${words(alias)}`).join(', '))]),
    heading('examples'),
    ...(command.examples ?? []).flatMap((one) =>
      typeof one === 'string'
        ? [example(one.replace('<%= config.bin %>', 'deye'))]
        : [paragraph(`${one.description}:`), example(one.command.replace('<%= config.bin %>', 'deye'))],
    ),
    heading('see also'),
    paragraph(`deye(1), deye-protocol(7), ${command.id.startsWith('store') ? 'deye-store(7)' : 'deye-tasks(7)'}`),
  );
}

const flagName = ({ name, char, type, allowNo }: ManifestFlag): string =>
  `${char === undefined ? '' : `-${char}, `}--${allowNo === true ? '[no-]' : ''}${name}${type === 'option' ? ' VALUE' : ''}`;

function flagText({ description = '', options, default: value, multiple, env }: ManifestFlag): string {
  const extra = [
    options && `one of ${options.join(', ')}`,
    multiple === true && 'may be given several times',
    value !== undefined && value !== false && value !== '' && `default ${String(value)}`,
    env && `environment ${env}`,
  ].filter(Boolean);
  return [description, ...extra].join('; ');
}

function overview(commands: readonly ManifestCommand[], version: string): string {
  return page(
    header('deye', 1, 'deye manual', version),
    heading('name'),
    'deye \\- a local broker for the programs of one machine: topics, calls and durable tasks',
    heading('synopsis'),
    paragraph('deye COMMAND [ARGUMENTS] [FLAGS]'),
    heading('description'),
    paragraph(
      'One daemon, the broker, that the programs of one user talk to over a private socket: they publish and subscribe to topics, call each other, and hand it tasks. Collectors register what they can do; the broker keeps tasks on disk, gives each to the right collector at the right time, and notices when one dies.',
    ),
    heading('commands'),
    ...commands.map(({ id, summary = '' }) => term(`deye ${words(id)}`, `${summary} See ${pageName(id)}(1).`)),
    heading('exit status'),
    ...Object.values(exitTable).map(({ code, summary }) => term(String(code), summary)),
    ...configurationSections,
    heading('see also'),
    paragraph('deye-protocol(7), deye-tasks(7), deye-store(7), deye-design(7)'),
  );
}

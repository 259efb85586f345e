/** The part of deye.1 on configuration: environment, files, and every key of deye.yaml. */
import { z } from 'zod';
import { configurationSchema } from '../../src/broker/configuration-schema.ts';
import { example, heading, paragraph, subheading, term } from './roff.ts';

/** What each key of deye.yaml means. A test holds them against the schema. */
export const keyTexts: Readonly<Record<string, string>> = {
  socket:
    "path of the broker's socket, for the broker, every command and every program with the SDK; relative to the directory of the file",
  state_dir: 'where tasks, the log and the lock are kept',
  log_level: 'error, warn, info, debug or trace; default info',
  sync: 'batch (the default): what is answered is synced; 100ms: a power failure may take the last 100 ms of what was answered, and every answer says so',
  'routing.strategy': 'the routing strategy until deye routing set changes it',
  limits: 'limits by their keys in deye-protocol(7), such as pending_max: 500000',
  collectors: 'a list of programs that the broker starts, watches and stops; default procmond',
  'collectors.id': 'the id, unique in the list',
  'collectors.type': 'the type; a built-in one needs no command',
  'collectors.command': 'the program; without it the built-in collector of this type runs',
  'collectors.args': 'its arguments, a list',
  'collectors.env': 'variables for it, a map',
  'collectors.inherit_env':
    "which variables of the broker's environment it gets: true for all, false for those that a program needs to run, or a list of names",
  'collectors.working_dir': 'its working directory',
  'collectors.enabled': 'false leaves it out; default true',
  'collectors.auto_restart': 'false leaves it down when it ends; default true',
  'collectors.max_restarts': 'restarts within restart_window_ms before it is quarantined; default 5',
  'collectors.restart_window_ms': 'default 60000',
  'collectors.backoff_ms': 'pause before the first restart, doubled each time; default 1000',
  'collectors.startup_timeout_ms': 'how long it may take to register; default 60000',
};

interface KeySchema {
  readonly properties?: Readonly<Record<string, KeySchema>>;
  readonly items?: KeySchema;
}

/** Every key of deye.yaml as a path, the names of limits left out. */
export function configurationKeys(): string[] {
  const { properties = {} } = z.toJSONSchema(configurationSchema, { io: 'input', unrepresentable: 'any' }) as KeySchema;
  return Object.entries(properties).flatMap(([key, { properties: own, items }]) => {
    if (key === 'limits') return [key];
    if (own !== undefined) return Object.keys(own).map((name) => `${key}.${name}`);
    return [key, ...Object.keys(items?.properties ?? {}).map((name) => `${key}.${name}`)];
  });
}

export const configurationSections: readonly string[] = [
  heading('environment'),
  paragraph(
    'A flag goes before the environment, the environment before deye.yaml in the current directory, that before the deye.yaml of the user, and that before the default. Of a socket and a state directory the one that is named first in this order says which broker and which store is meant.',
  ),
  term(
    'DEYE_SOCKET',
    "path of the broker's socket; default $XDG_RUNTIME_DIR/deye/broker.sock, else a directory of the user's own under the temporary one",
  ),
  term('DEYE_STATE_DIR', 'where tasks are kept; default $XDG_STATE_HOME/deye, else ~/.local/state/deye'),
  term('DEYE_CONFIG', 'a configuration file instead of ./deye.yaml'),
  term('DEYE_LOG_LEVEL', 'error, warn, info, debug or trace'),
  term(
    'DEYE_SYNC',
    'batch (the default: what is answered is synced) or 100ms (a power failure may take the last 100 ms of it)',
  ),
  term('DEYE_LIMITS_…', 'a limit of deye-protocol(7), its key in capitals: DEYE_LIMITS_PENDING_MAX'),
  term('DEYE_COLLECTOR_ID', 'id of a collector that names none; the broker sets it for those that it starts'),
  term('DEYE_DEBUG', 'when set, the stack of an error that should not happen is printed'),
  term('NO_COLOR', 'no colours'),
  term('XDG_RUNTIME_DIR, XDG_STATE_HOME, XDG_CONFIG_HOME, XDG_CACHE_HOME', 'as the XDG base directories say'),
  heading('files'),
  term(
    './deye.yaml',
    'configuration of the project: every command and every program with the SDK that runs in this directory reads it',
  ),
  term('$XDG_CONFIG_HOME/deye/deye.yaml, else ~/.config/deye/deye.yaml', 'configuration of the user'),
  term('store/', 'the store in the state directory: a journal of what lives, and book.db of what has ended'),
  term('broker.log', 'in the state directory: the log of the broker and of what its collectors print'),
  term('broker.lock, broker.json', 'in the state directory: the lock of the broker that runs, and where it is'),
  term(
    'children.json',
    'in the state directory: the collectors that the broker started, so that the next one finds them',
  ),
  heading('configuration'),
  paragraph('deye.yaml is read as a whole; an unknown key or a wrong value is refused with its name.'),
  ...configurationKeys().map((key) => term(key, keyTexts[key] ?? '')),
  subheading('Example'),
  example(
    'socket: run/broker.sock\nlimits: { pending_max: 500000 }\ncollectors:\n  - { id: procmond, type: procmond }\n  - { id: greeter, type: greeter, command: node, args: [greeter.mjs] }',
  ),
];

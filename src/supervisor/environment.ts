/** What a child gets of the broker's environment. */

/** What programs need to run at all: to be found, to find their files, to write text and times. */
const essential = [
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ', 'TMPDIR'],
  ...['SystemRoot', 'SystemDrive', 'windir', 'ComSpec', 'PATHEXT', 'TEMP', 'TMP', 'USERPROFILE', 'LOCALAPPDATA'],
];

type Environment = Readonly<Record<string, string | undefined>>;

/** `inherit`: everything, the essential variables only, or those and the ones named. `own` is added in any case. */
export function childEnvironment(
  inherit: boolean | readonly string[],
  own: Environment,
  env: Environment,
): Environment {
  if (inherit === true) return { ...env, ...own };
  const names = inherit === false ? essential : [...essential, ...inherit];
  return {
    ...Object.fromEntries(names.filter((name) => env[name] !== undefined).map((name) => [name, env[name]])),
    ...own,
  };
}

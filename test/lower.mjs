/**
 * For a Node that knows no `using`: lowers it in the sources that tests run in threads and processes of their own, as the
 * build does for the program. Give it to Node with --import; it does nothing where it is not needed.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'rolldown/utils';

if (Number(process.versions.node.split('.')[0]) < 24) {
  globalThis.babelHelpers = { usingCtx };
  const options = { lang: 'ts', sourceType: 'module', target: 'es2022', helpers: { mode: 'External' } };
  registerHooks({
    load(url, context, next) {
      if (!/^file:.*\/(src|test|commands)\/.*\.ts$/.test(url)) return next(url, context);
      const { code, errors } = transformSync(url, readFileSync(fileURLToPath(url), 'utf8'), options);
      if (errors.length > 0) throw errors[0];
      return { format: 'module', source: code, shortCircuit: true };
    },
  });
}

/** What a block disposes of at its end, the latest first; `e` is what it threw. */
function usingCtx() {
  const held = [];
  let thrown;
  const hold = (value, isAsync) => {
    const dispose = (isAsync ? value?.[Symbol.asyncDispose] : undefined) ?? value?.[Symbol.dispose];
    if (value !== null && value !== undefined) held.push({ dispose: () => dispose.call(value), isAsync });
    return value;
  };
  const suppress = (error) => {
    thrown = { error: thrown === undefined ? error : new AggregateError([error, thrown.error]) };
  };
  const end = () => {
    if (thrown !== undefined) throw thrown.error;
  };
  const disposeAsync = async () => {
    for (const { dispose } of held.reverse()) await Promise.resolve().then(dispose).catch(suppress);
    end();
  };
  const disposeSync = () => {
    for (const { dispose } of held.reverse())
      try {
        dispose();
      } catch (error) {
        suppress(error);
      }
    end();
  };
  return {
    set e(error) {
      thrown = { error };
    },
    u: (value) => hold(value, false),
    a: (value) => hold(value, true),
    d: () => (held.some(({ isAsync }) => isAsync) ? disposeAsync() : disposeSync()),
  };
}

/** `npm run man`: writes the generated pages into man/. CI looks that they are fresh. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandPages, type Manifest } from './commands.ts';
import { protocolPage } from './protocol.ts';
import { storePage } from './store.ts';
import { tasksPage } from './tasks.ts';

/** Every generated page by its file name. */
export function generatedPages(root: string): Map<string, string> {
  const manifest = JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8')) as Manifest;
  return new Map([
    ...commandPages(manifest),
    ['deye-protocol.7', protocolPage(manifest.version)],
    ['deye-store.7', storePage(manifest.version)],
    ['deye-tasks.7', tasksPage(manifest.version)],
  ]);
}

if (import.meta.main) for (const [name, text] of generatedPages(process.cwd())) writeFileSync(join('man', name), text);

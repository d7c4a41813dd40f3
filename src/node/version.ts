import { readFileSync } from 'node:fs';

/** The same place whether this runs from src/node or from dist/node. */
export function packageVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

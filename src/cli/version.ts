import { readFileSync } from 'node:fs';

/** The same place whether this runs from src/cli or from dist/cli. */
export function packageVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

import { readFileSync } from 'node:fs';

// Read once: a running node must not depend on a file that an update may replace, nor on a free file descriptor.
// The same place whether this runs from src/node or from dist/node.
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };

export function packageVersion(): string {
  return version;
}

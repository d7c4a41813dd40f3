// npm run docs: writes the generated part of the documentation.

import { mkdirSync, writeFileSync } from 'node:fs';
import { commandsReference } from './commands-reference.ts';
import { configurationReference } from './configuration-reference.ts';
import { openApiText } from '../src/protocols/http/index.ts';
import { packageVersion } from '../src/node/version.ts';
import { openApiDocument } from './openapi-document.ts';

const folder = new URL('../docs/', import.meta.url);
mkdirSync(folder, { recursive: true });
writeFileSync(new URL('configuration.md', folder), configurationReference());
writeFileSync(new URL('commands.md', folder), commandsReference());
writeFileSync(new URL('openapi.json', folder), await openApiDocument());
writeFileSync(new URL('http-openapi.json', folder), `${openApiText(packageVersion())}\n`);

// npm run docs: writes the generated part of the documentation.

import { mkdirSync, writeFileSync } from 'node:fs';
import { configurationReference } from './configuration-reference.ts';

const file = new URL('../docs/configuration.md', import.meta.url);
mkdirSync(new URL('.', file), { recursive: true });
writeFileSync(file, configurationReference());

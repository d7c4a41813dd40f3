// The suite that every registry passes (src/registry/registry.ts). What only one of them can do is tested beside it.

import { describe, test } from 'node:test';
import { certificatesTests } from './registry/certificates.ts';
import { changesTests } from './registry/changes.ts';
import { isolationProperty, modelProperty } from './registry/model.ts';
import { closing, type RegistryPlace } from './registry/place.ts';
import { namesTests } from './registry/names.ts';
import { pagesTests } from './registry/pages.ts';
import { referencesTests } from './registry/references.ts';
import { trustTests } from './registry/trust.ts';
import { writesTests } from './registry/writes.ts';

/** `place`: somewhere to keep a registry, where every opening finds the same entries. `modelRuns`: random histories to try. */
export function testRegistry(name: string, place: () => Promise<RegistryPlace>, modelRuns: number): void {
  describe(name, () => {
    for (const [what, body] of Object.entries({
      ...writesTests,
      ...referencesTests,
      ...namesTests,
      ...trustTests,
      ...certificatesTests,
      ...pagesTests,
      ...changesTests,
    })) {
      test(what, async () => {
        const { opened, end } = closing(await place());
        try {
          await body(opened);
        } finally {
          await end();
        }
      });
    }
    test('any sequence of writes leaves what a model of it says', { timeout: 60_000 }, () => modelProperty(place, modelRuns));
    test('no question of a tenant ever shows another one', { timeout: 60_000 }, () => isolationProperty(place));
  });
}

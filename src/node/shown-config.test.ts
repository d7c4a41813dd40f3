import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultConfig } from '../config.ts';
import { schemaTree } from '../config/schema.ts';
import { shownConfig } from './shown-config.ts';

test('nothing by which one could sign in is shown, paths and limits are', () => {
  const config = defaultConfig();
  const whole = {
    ...config,
    security: { ...config.security, users: [{ name: 'bob', passwordHash: '$argon2id$secret' }] },
    registry: { ...config.registry, urlFile: '/etc/heliograph/registry.url' },
  };
  const shown = shownConfig(whole as typeof config) as typeof whole;
  assert.equal(shown.security.users[0]!.passwordHash, '(hidden)');
  assert.equal(shown.registry.urlFile, '/etc/heliograph/registry.url');
  assert.deepEqual({ ...shown, security: undefined, registry: undefined }, { ...whole, security: undefined, registry: undefined });
});

test('settings that sound like a secret are hidden, or name a file', () => {
  const suspicious: string[] = [];
  const visit = (node: unknown, path: string): void => {
    if (typeof node !== 'object' || node === null) return;
    const { properties, items, additionalProperties, patternProperties } = node as Record<string, object | undefined>;
    for (const [name, inner] of Object.entries(properties ?? {})) {
      if (/(password|passphrase|secret|token|hash|pin)$/i.test(name)) suspicious.push(`${path}${name}`);
      visit(inner, `${path}${name}.`);
    }
    visit(items, path);
    visit(additionalProperties, path);
    for (const inner of Object.values(patternProperties ?? {})) visit(inner, `${path}*.`);
  };
  visit(schemaTree, '');
  assert.ok(suspicious.includes('security.users.passwordHash'));
  for (const path of suspicious) {
    const name = path.split('.').at(-1)!;
    assert.deepEqual(shownConfig({ [name]: 'x' } as never), { [name]: '(hidden)' }, path);
  }
});

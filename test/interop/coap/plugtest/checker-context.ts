// The security context that Californium's plugtest server and checker have, kept by a registry as every other one.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { secureRandom } from '../../../../src/base/secure-random.ts';
import { SqliteRegistry } from '../../../../src/registry/sqlite/sqlite-registry.ts';
import { defaultContextsSettings, NodeOscoreContexts } from '../../../../src/security/oscore/contexts.ts';
import { oscoreCredential, oscoreHandle } from '../../../../src/security/oscore/oscore-credential.ts';
import { MemorySequenceStore } from '../../../../src/security/oscore/sequence-store.ts';
import { good } from '../../../contracts/registry/place.ts';

import type { Clock } from '../../../../src/base/clock.ts';
import type { SecretBox } from '../../../../src/security/authentication/psk.ts';
import type { OscoreContexts } from '../../../../src/security/oscore/oscore.ts';

/** The checker derives its keys anew each time it starts (RFC 8613 appendix B.2). */
const facts = {
  algorithm: 10,
  hkdf: -10,
  senderId: '02',
  recipientId: '01',
  idContext: '37cbf3210017a2d3',
  windowSize: 32,
  rederivation: true,
} as const;
const secrets = {
  masterSecret: Buffer.from('0102030405060708090a0b0c0d0e0f10', 'hex'),
  masterSalt: Buffer.from('9e7ca92223786340', 'hex'),
};

/** These are no secrets: they stand in Californium's source. */
const openBox: SecretBox = { seal: (plain) => Buffer.from(plain), unseal: (sealed) => sealed, mark: () => new Uint8Array(32) };

export async function checkerContext(clock: Clock): Promise<{ readonly contexts: OscoreContexts; close(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'plugtests-'));
  const registry = good(SqliteRegistry.open({ path: join(folder, 'registry.db'), clock, thread: false })) as SqliteRegistry;
  const owner = { kind: 'device', id: 'checker' } as const;
  good(await registry.create('device', 'main', owner.id, {}));
  const secret = oscoreCredential(facts, secrets, openBox, 'main', owner);
  const handle = oscoreHandle(facts.recipientId, facts.idContext);
  good(await registry.create('credential', 'main', 'plugtest', { owner, type: 'oscore', secret, handle }));
  const services = { lookUps: registry, box: openBox, store: new MemorySequenceStore(), clock, random: secureRandom, refused: () => {} };
  return {
    contexts: new NodeOscoreContexts(defaultContextsSettings, services),
    async close() {
      await registry.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { good } from '../../../test/contracts/registry/place.ts';
import { atEnd, temporaryDirectory } from '../../../test/contracts/temporary-journal.ts';
import { ManualClock } from '../../base/clock.ts';
import { SeededRandom } from '../../base/random.ts';
import { SqliteRegistry } from '../../registry/sqlite/sqlite-registry.ts';
import type { SecretBox } from '../authentication/psk.ts';
import { SecurityContext } from './context.ts';
import { defaultContextsSettings, NodeOscoreContexts, type ContextsSettings } from './contexts.ts';
import type { ContextInput } from './derivation.ts';
import { oscoreCredential, oscoreHandle, openOscore, type OscoreFacts } from './oscore-credential.ts';
import type { Acceptance, OpenedRequest, OscoreContext, SealedRequest, SealedResponse } from './oscore.ts';
import { MemorySequenceStore } from './sequence-store.ts';

const box: SecretBox = {
  seal: (plain, place) => Buffer.concat([Buffer.from(`${place}|`), plain]),
  unseal(sealed, place) {
    const head = Buffer.from(`${place}|`);
    return Buffer.from(sealed.subarray(0, head.length)).equals(head) ? sealed.subarray(head.length) : undefined;
  },
  mark: () => new Uint8Array(32),
};
const secrets = { masterSecret: Buffer.alloc(16, 5), masterSalt: Buffer.alloc(8, 6) };
const owner = { kind: 'device', id: 'pump' } as const;
const plain: OscoreFacts = {
  algorithm: 10,
  hkdf: -10,
  senderId: '01',
  recipientId: '0a',
  idContext: undefined,
  windowSize: 32,
  rederivation: false,
};

async function bench(t: TestContext, settings: Partial<ContextsSettings> = {}) {
  const clock = new ManualClock();
  const registry = good(SqliteRegistry.open({ path: join(temporaryDirectory(t), 'registry.db'), clock, thread: false })) as SqliteRegistry;
  atEnd(t, () => registry.close());
  good(await registry.create('device', 'main', 'pump', {}));
  const store = new MemorySequenceStore();
  const faults: string[] = [];
  const open = (seed = 1): NodeOscoreContexts => {
    const services = {
      lookUps: registry,
      box,
      store,
      clock,
      random: new SeededRandom(seed),
      refused: (fault: string) => faults.push(fault),
    };
    const contexts = new NodeOscoreContexts({ ...defaultContextsSettings, ...settings }, services);
    atEnd(
      t,
      registry.subscribe((changes) => contexts.changed(changes)),
    );
    return contexts;
  };
  const add = async (id: string, changes: Partial<OscoreFacts> = {}, expiresAtMs?: number): Promise<ContextInput> => {
    const facts = { ...plain, ...changes };
    const secret = oscoreCredential(facts, secrets, box, 'main', owner);
    const handle = oscoreHandle(facts.recipientId, facts.idContext);
    const entry = good(await registry.create('credential', 'main', id, { owner, type: 'oscore', secret, handle, expiresAtMs }));
    const input = openOscore(entry, box)!;
    return { ...input, senderId: input.recipientId, recipientId: input.senderId };
  };
  return { clock, registry, store, faults, contexts: open(), open, add };
}

function deviceOf(input: ContextInput): SecurityContext {
  const services = { store: new MemorySequenceStore(), clock: new ManualClock(), random: new SeededRandom(9) };
  return new SecurityContext({ tenant: 'main', principal: 'pump', contextId: '' }, input, 32, defaultContextsSettings, services);
}

function found(contexts: NodeOscoreContexts, kid: string, kidContext?: Uint8Array): readonly OscoreContext[] | 'unavailable' {
  let answer: readonly OscoreContext[] | 'unavailable' | undefined;
  contexts.find(Buffer.from(kid, 'hex'), kidContext, (all) => (answer = all));
  return answer!;
}

const idsOf = (all: readonly OscoreContext[] | 'unavailable'): unknown =>
  all === 'unavailable' ? all : all.map(({ name }) => name.contextId);

function sealed(device: SecurityContext): Promise<SealedRequest> {
  const { promise, resolve } = Promise.withResolvers<SealedRequest>();
  device.sealRequest(Buffer.from([1]), (made) => resolve(made!));
  return promise;
}

/** What becomes of a request, by the contexts that it may be under. */
async function tried(contexts: NodeOscoreContexts, { kid, piv, ciphertext }: SealedRequest, kidContext?: Uint8Array) {
  const all = found(contexts, Buffer.from(kid).toString('hex'), kidContext);
  assert.ok(all !== 'unavailable');
  for (const context of all) {
    const opened = context.openRequest(kid, piv, ciphertext);
    if (typeof opened === 'string') continue;
    const { promise, resolve } = Promise.withResolvers<Acceptance>();
    context.accept(opened, undefined, resolve);
    return { context, opened, acceptance: await promise };
  }
  return undefined;
}

function answer(context: OscoreContext, { binding }: OpenedRequest): Promise<SealedResponse> {
  const { promise, resolve } = Promise.withResolvers<SealedResponse>();
  context.sealResponse(binding, Buffer.from([0x81]), true, (made) => resolve(made!));
  return promise;
}

test('contexts are found by kid and kid context; kid alone finds all that have it', async (t) => {
  const { contexts, add, faults } = await bench(t);
  await add('c1');
  await add('c2', { idContext: 'aa' });
  await add('c3', { idContext: '' });
  await add('c4', { recipientId: '0a0b' });
  assert.deepEqual(idsOf(found(contexts, '0a')), ['c1', 'c3', 'c2']);
  assert.deepEqual(idsOf(found(contexts, '0a', Buffer.from('aa', 'hex'))), ['c2']);
  assert.deepEqual(idsOf(found(contexts, '0a', new Uint8Array(0))), ['c3']);
  assert.deepEqual(idsOf(found(contexts, '0a', Buffer.from('bb', 'hex'))), []);
  assert.deepEqual(idsOf(found(contexts, '')), []);
  assert.equal((found(contexts, '0a0b') as OscoreContext[])[0], (found(contexts, '0a0b') as OscoreContext[])[0], 'the same object');
  contexts.refused('replay', { listener: 'coap', remoteAddress: '::1' });
  assert.deepEqual(faults, ['replay']);
});

test('what is removed, changed or over opens and seals nothing any more, also in whose hands it is', async (t) => {
  const { contexts, add, registry, clock } = await bench(t);
  const device = deviceOf(await add('c1'));
  const held = (await tried(contexts, await sealed(device)))!;
  assert.equal(held.acceptance.kind, 'fresh');
  good(await registry.remove('credential', 'main', 'c1'));
  assert.deepEqual(found(contexts, '0a'), []);
  const { kid, piv, ciphertext } = await sealed(device);
  assert.equal(held.context.openRequest(kid, piv, ciphertext), 'decryption-failed');
  assert.equal(await answer(held.context, held.opened), undefined);
  await add('c2', {}, clock.wallMs() + 1000);
  const again = (await tried(contexts, await sealed(device)))!;
  assert.equal(again.acceptance.kind, 'fresh');
  assert.deepEqual((await answer(again.context, again.opened)).piv, Uint8Array.of(0));
  clock.advance(1001);
  assert.deepEqual(found(contexts, '0a'), []);
  assert.equal(await answer(again.context, again.opened), undefined);
});

test('the same keys under another name go on counting: nothing is accepted again, no number used again', async (t) => {
  const { contexts, add, registry } = await bench(t);
  const device = deviceOf(await add('c1'));
  const request = await sealed(device);
  const first = (await tried(contexts, request))!;
  assert.deepEqual((await answer(first.context, first.opened)).piv, Uint8Array.of(0));
  good(await registry.remove('credential', 'main', 'c1'));
  await add('c2');
  assert.equal(await tried(contexts, request), undefined, 'a replay');
  const second = (await tried(contexts, await sealed(device)))!;
  assert.deepEqual((await answer(second.context, second.opened)).piv, Uint8Array.of(1));
});

test('beyond the most that are kept, the oldest are put away and come back as they were', async (t) => {
  const { contexts, add, store } = await bench(t, { maxContexts: 2 });
  const devices: SecurityContext[] = [];
  for (const id of ['01', '02', '03', '04']) devices.push(deviceOf(await add(`c${id}`, { recipientId: id, senderId: 'ff' })));
  const kinds: unknown[] = [];
  const first = (await tried(contexts, await sealed(devices[0]!)))!;
  for (let round = 0; round < 3; round++) {
    for (const device of devices) kinds.push((await tried(contexts, await sealed(device)))?.acceptance.kind);
  }
  assert.deepEqual([...new Set(kinds)], ['fresh'], 'without an Echo: nothing was forgotten');
  assert.equal(store.states.size, 4);
  // Somebody still had it when it was put away.
  assert.deepEqual((await answer(first.context, first.opened)).piv, Uint8Array.of(0));
  const back = (await tried(contexts, await sealed(devices[0]!)))!;
  assert.equal(back.context, first.context, 'never two with the same keys');
  await contexts.close();
});

test('strangers cannot ask the registry without end', async (t) => {
  const { contexts, clock, add } = await bench(t, { lookUpsPerSecond: 10 });
  await add('c1');
  found(contexts, '0a');
  const answers = Array.from({ length: 20 }, (_, i) => found(contexts, `ff${String(i).padStart(2, '0')}`));
  assert.equal(answers.filter((each) => each === 'unavailable').length, 11);
  assert.deepEqual(idsOf(found(contexts, '0a')), ['c1'], 'who is in memory is not asked for');
  clock.advance(100);
  assert.deepEqual(found(contexts, 'eeee'), []);
});

test('a secret that was sealed for another owner or other ids is none', async (t) => {
  const { contexts, registry } = await bench(t);
  const secret = oscoreCredential({ ...plain, senderId: '02' }, secrets, box, 'main', owner).replace('"senderId":"02"', '"senderId":"01"');
  good(await registry.create('credential', 'main', 'c1', { owner, type: 'oscore', secret, handle: oscoreHandle('0a', undefined) }));
  assert.deepEqual(found(contexts, '0a'), []);
});

const wrapped = (bytes: Uint8Array): Uint8Array =>
  Buffer.concat([Uint8Array.of(...(bytes.length < 24 ? [0x40 + bytes.length] : [0x58, bytes.length])), bytes]);
const unwrapped = (bytes: Uint8Array): Uint8Array => bytes.subarray(bytes[0] === 0x58 ? 2 : 1);

/** RFC 8613 appendix B.2 as a device does it, until it has R2. */
async function r2Of(contexts: NodeOscoreContexts, input: ContextInput, id1: Uint8Array): Promise<Uint8Array> {
  const asking = deviceOf({ ...input, idContext: id1 });
  const request = await sealed(asking);
  const first = (await tried(contexts, request, wrapped(id1)))!;
  assert.ok(first.acceptance.kind === 'rederive');
  const r2 = unwrapped(first.acceptance.kidContext);
  const response = await answer(first.acceptance.context, first.opened);
  const both = deviceOf({ ...input, idContext: Buffer.concat([r2, id1]) });
  assert.deepEqual([...both.openResponse(request.binding, response.piv, response.ciphertext)!], [0x81]);
  return Buffer.from(r2);
}

test('a device derives fresh keys, and uses them however it names them', async (t) => {
  const { contexts, add } = await bench(t);
  const input = await add('c1', { rederivation: true });
  const r2 = await r2Of(contexts, input, Buffer.alloc(8, 1));
  const idContext = Buffer.concat([r2, Buffer.alloc(8, 3)]);
  const device = deviceOf({ ...input, idContext });
  const request = await sealed(device);
  assert.equal((await tried(contexts, request, wrapped(idContext)))?.acceptance.kind, 'fresh');
  assert.equal(await tried(contexts, request, wrapped(idContext)), undefined, 'once');
  for (const shown of [wrapped(idContext), idContext, undefined]) {
    assert.equal((await tried(contexts, await sealed(device), shown))?.acceptance.kind, 'fresh');
  }
  let named: OscoreContext | undefined;
  contexts.named({ tenant: 'main', principal: 'pump', contextId: 'c1' }, (each) => (named = each));
  const command = Promise.withResolvers<SealedRequest>();
  named!.sealRequest(Buffer.from([1]), (made) => command.resolve(made!));
  const { kid, piv, ciphertext } = await command.promise;
  assert.equal(typeof device.openRequest(kid, piv, ciphertext), 'object', 'requests of the node are under the same keys');
});

test('R2 is good once, for its context, for a while, and for this process', async (t) => {
  const { contexts, add, clock, open } = await bench(t);
  const input = await add('c1', { rederivation: true });
  const other = await add('c2', { recipientId: '0b', rederivation: true });
  const kindOf = async (of: ContextInput, r2: Uint8Array, r3: number, at = contexts): Promise<string | undefined> => {
    const idContext = Buffer.concat([r2, Buffer.alloc(8, r3)]);
    return (await tried(at, await sealed(deviceOf({ ...of, idContext })), wrapped(idContext)))?.acceptance.kind;
  };
  const r2 = await r2Of(contexts, input, Buffer.alloc(8, 1));
  // What is no R2 of ours is somebody's first request.
  assert.equal(await kindOf(other, r2, 3), 'rederive');
  const later = await r2Of(contexts, input, Buffer.alloc(8, 1));
  assert.notDeepEqual(later, r2, 'never the same twice');
  assert.equal(await kindOf(input, later, 3), 'fresh');
  assert.equal(await kindOf(input, later, 4), 'rederive', 'once');
  assert.equal(await kindOf(input, r2, 4), 'rederive', 'nor one of before');
  const slow = await r2Of(contexts, input, Buffer.alloc(8, 1));
  clock.advance(60_100);
  assert.equal(await kindOf(input, slow, 5), 'rederive');
  const fresh = await r2Of(contexts, input, Buffer.alloc(8, 1));
  assert.equal(await kindOf(input, fresh, 5, open(2)), 'rederive', 'another process');
  assert.equal(await kindOf(input, fresh, 6), 'fresh');
});

test('where it is not allowed, there are no fresh keys', async (t) => {
  const { contexts, add } = await bench(t);
  const input = await add('c1');
  const id1 = Buffer.alloc(8, 1);
  assert.equal(await tried(contexts, await sealed(deviceOf({ ...input, idContext: id1 })), wrapped(id1)), undefined);
});

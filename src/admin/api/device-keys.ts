// Keys of devices besides pre-shared ones: raw public keys for DTLS, and security contexts of OSCORE.

import { Type, type TProperties } from 'typebox';
import type { CredentialType, Entry } from '../../registry/entries.ts';
import type { Result } from '../../registry/registry.ts';
import { actingForbidden } from './grants.ts';
import { notFound, Problem, registryProblem } from './problem.ts';
import { created, done, ok, route, type Answer, type Call, type RouteSpec } from './route.ts';
import { choice, head, id, idParams, moment, object } from './schemas.ts';

const maxValidMs = 10 * 365 * 86_400_000;
/** A chosen kid that another context has is chosen again. */
const maxTries = 5;

const one = object({ id, credential: id });
const validMs = Type.Optional(Type.Integer({ minimum: 1000, maximum: maxValidMs, description: 'How long it holds. Absent: for ever.' }));
const common = { ...head, expiresAtMs: Type.Optional(moment('When it ends.')) };

const hex = (description: string, maxBytes: number, more: { writeOnly?: true } = {}) =>
  Type.String({ pattern: `^(?:[0-9A-Fa-f]{2}){0,${maxBytes}}$`, maxLength: 2 * maxBytes, description, ...more });

const rawPublicKey = object({
  ...common,
  algorithm: Type.String({ description: 'Its curve.' }),
  sha256: Type.String({ description: 'SHA-256 of the SubjectPublicKeyInfo, hex.' }),
  publicKey: Type.String({ description: 'SubjectPublicKeyInfo, DER in base64.' }),
});

const ids = {
  senderId: hex('Sender ID of this node, and so the Recipient ID of the device; hex.', 7),
  recipientId: hex('Recipient ID of this node, and so the Sender ID of the device, which its requests show as kid; hex.', 7),
  idContext: Type.Optional(hex('ID Context, which its requests show as kid context; hex. Absent: none.', 32)),
  algorithm: choice(
    ['AES-CCM-16-64-128', 'AES-CCM-16-128-128', 'AES-CCM-16-64-256', 'AES-CCM-16-128-256', 'A128GCM', 'A256GCM', 'ChaCha20/Poly1305'],
    'AEAD algorithm.',
  ),
  hkdf: choice(['HKDF-SHA-256', 'HKDF-SHA-512'], 'By what keys are derived.'),
  windowSize: Type.Integer({ minimum: 1, maximum: 1024, description: 'How many requests may overtake each other.' }),
  rederivation: Type.Boolean({ description: 'The device may derive fresh keys by an ID Context of its own (RFC 8613 appendix B.2).' }),
} satisfies TProperties;

const secrets = {
  masterSecret: hex('Master Secret, hex: 16 to 64 bytes. Kept sealed, shown once.', 64, { writeOnly: true }),
  masterSalt: hex('Master Salt, hex.', 64, { writeOnly: true }),
};

const oscoreContext = object({ ...common, ...ids });

type Subject = { readonly type: CredentialType; readonly one: string };

/** The device's credentials of this type, or why they are not told. */
async function ofDevice(
  { tenant, services }: Call,
  device: string,
  type: CredentialType,
): Promise<readonly Entry<'credential'>[] | Problem> {
  const { registry } = services;
  const found = await registry.get('device', tenant, device);
  if (!found.ok) return registryProblem(found.error);
  if (found.value === undefined) return notFound(`device ${tenant}/${device}`);
  const had = await registry.credentials(tenant, { kind: 'device', id: device });
  if (!had.ok) return registryProblem(had.error);
  return had.value.filter((each) => each.type === type);
}

/** Whoever gives a device a key can act as the device. */
async function actingFault({ tenant, services, ...call }: Call, device: string): Promise<Problem | undefined> {
  const found = await services.registry.get('device', tenant, device);
  if (!found.ok) return registryProblem(found.error);
  if (found.value === undefined) return notFound(`device ${tenant}/${device}`);
  return actingForbidden('device', found.value, { ...call, tenant, services });
}

function viewOf(entry: Entry<'credential'>, facts: object | undefined): object {
  const { secret: _, type: __, owner: ___, handle: ____, ...rest } = entry;
  return { ...rest, ...facts };
}

function newId({ services }: Call): string {
  return Buffer.from(services.random.bytes(16)).toString('hex');
}

function endOf({ services }: Call, valid: number | undefined): number | undefined {
  return valid === undefined ? undefined : services.clock.wallMs() + valid;
}

async function remove(call: Call, device: string, credential: string, { type, one: name }: Subject): Promise<Answer | Problem> {
  const { tenant, services } = call;
  const fault = await actingFault(call, device);
  if (fault !== undefined) return fault;
  const found = await services.registry.get('credential', tenant, credential);
  if (!found.ok) return registryProblem(found.error);
  const entry = found.value;
  if (entry?.type !== type || entry.owner.kind !== 'device' || entry.owner.id !== device) return notFound(`${name} ${credential}`);
  const gone = await services.registry.remove('credential', tenant, credential, entry.version);
  return gone.ok ? done : registryProblem(gone.error);
}

const target = ({ params }: { params: { id: string } }, tenant: string): string => `device/${tenant}/${params.id}`;

const keys = { path: '/devices/{id}/raw-public-keys', scope: 'tenant', params: idParams } as const;
const keySubject: Subject = { type: 'raw-public-key', one: 'raw public key' };

const rawPublicKeyRoutes: readonly RouteSpec[] = [
  route({
    ...keys,
    method: 'GET',
    operation: 'listRawPublicKeys',
    summary: 'The raw public keys of a device',
    permission: 'devices:read',
    answers: { 200: { description: 'All of them.', schema: object({ entries: Type.Array(rawPublicKey) }) } },
    async handle({ params }, call) {
      const found = await ofDevice(call, params.id, 'raw-public-key');
      if (found instanceof Problem) return found;
      return ok({ entries: found.map((entry) => viewOf(entry, call.services.deviceKeys.rawPublicKeyFacts(entry))) });
    },
  }),
  route({
    ...keys,
    method: 'POST',
    operation: 'addRawPublicKey',
    summary: 'Add a raw public key: who holds its private key is this device (RFC 7250)',
    permission: 'devices:write',
    body: object({
      publicKey: Type.String({ minLength: 1, maxLength: 2048, description: 'PEM, or DER in base64, of the SubjectPublicKeyInfo.' }),
      validMs,
    }),
    answers: { 201: { description: 'The key.', schema: rawPublicKey } },
    audit: { action: 'device.raw-public-key.add', target },
    async handle({ params, body }, call) {
      const fault = await actingFault(call, params.id);
      if (fault !== undefined) return fault;
      const { tenant, services } = call;
      const made = services.deviceKeys.rawPublicKey(body.publicKey);
      if (made === undefined) {
        return new Problem(422, 'invalid', 'it is no public key of P-256, P-384, P-521 or Ed25519', { field: 'publicKey' });
      }
      const fields = { ...made, owner: { kind: 'device', id: params.id }, expiresAtMs: endOf(call, body.validMs) } as const;
      const stored = await services.registry.create('credential', tenant, newId(call), fields);
      if (!stored.ok) return registryProblem(stored.error);
      const facts = services.deviceKeys.rawPublicKeyFacts(stored.value);
      const location = `/devices/${encodeURIComponent(params.id)}/raw-public-keys/${stored.value.id}`;
      return { ...created(viewOf(stored.value, facts), location, stored.value.version), details: { key: facts.sha256 } };
    },
  }),
  route({
    ...keys,
    path: `${keys.path}/{credential}`,
    params: one,
    method: 'DELETE',
    operation: 'removeRawPublicKey',
    summary: 'Take a raw public key from a device',
    permission: 'devices:write',
    answers: { 204: { description: 'It is gone; who is connected by it is cut off.' } },
    audit: { action: 'device.raw-public-key.remove', target },
    handle: ({ params }, call) => remove(call, params.id, params.credential, keySubject),
  }),
];

const contexts = { path: '/devices/{id}/oscore-contexts', scope: 'tenant', params: idParams } as const;
const contextSubject: Subject = { type: 'oscore', one: 'OSCORE context' };

const oscoreRoutes: readonly RouteSpec[] = [
  route({
    ...contexts,
    method: 'GET',
    operation: 'listOscoreContexts',
    summary: 'The OSCORE contexts of a device, without their secrets',
    permission: 'devices:read',
    answers: { 200: { description: 'All of them.', schema: object({ entries: Type.Array(oscoreContext) }) } },
    async handle({ params }, call) {
      const found = await ofDevice(call, params.id, 'oscore');
      if (found instanceof Problem) return found;
      return ok({ entries: found.map((entry) => viewOf(entry, call.services.deviceKeys.oscoreFacts(entry))) });
    },
  }),
  route({
    ...contexts,
    method: 'POST',
    operation: 'addOscoreContext',
    summary: 'Add an OSCORE context (RFC 8613): what is not given is chosen, and secrets that are chosen are shown here and never again',
    permission: 'devices:write',
    body: Type.Partial(object({ ...ids, ...secrets, validMs }), { additionalProperties: false }),
    answers: {
      201: {
        description: 'The context.',
        schema: object({
          ...oscoreContext.properties,
          masterSecret: Type.Optional(Type.String({ description: 'Where it was chosen here: hex.' })),
          masterSalt: Type.Optional(Type.String({ description: 'Where the secret was chosen here: hex.' })),
        }),
      },
    },
    audit: { action: 'device.oscore.add', target },
    async handle({ params, body }, call) {
      const fault = await actingFault(call, params.id);
      if (fault !== undefined) return fault;
      const { validMs: valid, ...given } = body;
      const { tenant, services } = call;
      const owner = { kind: 'device', id: params.id } as const;
      for (let tries = 1; ; tries++) {
        const made = await services.deviceKeys.oscore(given, tenant, owner);
        if ('fault' in made) return new Problem(422, 'invalid', `${made.fault.field} ${made.fault.what}`, { field: made.fault.field });
        const fields = { ...made.fields, owner, expiresAtMs: endOf(call, valid) };
        const stored: Result<Entry<'credential'>> = await services.registry.create('credential', tenant, newId(call), fields);
        if (stored.ok) {
          const view = { ...viewOf(stored.value, services.deviceKeys.oscoreFacts(stored.value)), ...made.shown };
          const location = `/devices/${encodeURIComponent(params.id)}/oscore-contexts/${stored.value.id}`;
          return { ...created(view, location, stored.value.version), details: { context: stored.value.id } };
        }
        if (stored.error.code !== 'exists') return registryProblem(stored.error);
        if (given.recipientId !== undefined || tries === maxTries) {
          const detail = 'another context has this recipientId and idContext: requests could not be told apart';
          return new Problem(409, 'exists', detail, { field: 'recipientId' });
        }
      }
    },
  }),
  route({
    ...contexts,
    path: `${contexts.path}/{credential}`,
    params: one,
    method: 'DELETE',
    operation: 'removeOscoreContext',
    summary: 'Take an OSCORE context from a device',
    permission: 'devices:write',
    answers: { 204: { description: 'It is gone; nothing is opened or sealed with it any more.' } },
    audit: { action: 'device.oscore.remove', target },
    handle: ({ params }, call) => remove(call, params.id, params.credential, contextSubject),
  }),
];

export const deviceKeyRoutes: readonly RouteSpec[] = [...rawPublicKeyRoutes, ...oscoreRoutes];

// Keys for TLS-PSK, which devices that cannot afford certificates come in with.

import { Type } from 'typebox';
import { Problem } from './problem.ts';
import { replaceCredentials } from './principals.ts';
import { route, type RouteSpec } from './route.ts';
import { idParams, object } from './schemas.ts';

const key = Type.String({
  pattern: '^(?:[0-9A-Fa-f]{2}){16,64}$',
  maxLength: 128,
  description: '16 to 64 random bytes in hex. Kept sealed, and shown by no answer.',
  writeOnly: true,
});

const common = { path: '/devices/{id}/psk', permission: 'devices:write', scope: 'tenant', params: idParams } as const;
const target = ({ params }: { params: { id: string } }, tenant: string): string => `device/${tenant}/${params.id}`;

export const preSharedKeyRoutes: readonly RouteSpec[] = [
  route({
    ...common,
    method: 'PUT',
    operation: 'setDevicePsk',
    summary: 'Give a device a pre-shared key for TLS, in place of any it had',
    body: object({ key }),
    answers: { 204: { description: 'Its identity is its name, or tenant/name; listeners with `psk` take the key from now on.' } },
    audit: { action: 'device.psk.set', target },
    async handle({ params: { id }, body }, call) {
      const { tenant, services } = call;
      const owner = { kind: 'device', id } as const;
      const secret = await services.pskSecret(Buffer.from(body.key, 'hex'), tenant, owner);
      if (secret === undefined) return new Problem(422, 'invalid', 'the key has not 16 to 64 bytes', { field: 'key' });
      const credentialId = Buffer.from(services.random.bytes(16)).toString('hex');
      const fields = { type: 'psk', secret, owner } as const;
      const made = { do: 'create', kind: 'credential', tenant, id: credentialId, fields } as const;
      return replaceCredentials(call, 'device', id, ['psk'], [made]);
    },
  }),
  route({
    ...common,
    method: 'DELETE',
    operation: 'removeDevicePsk',
    summary: 'Take the pre-shared key from a device',
    answers: { 204: { description: 'It has none.' } },
    audit: { action: 'device.psk.remove', target },
    handle: ({ params: { id } }, call) => replaceCredentials(call, 'device', id, ['psk'], []),
  }),
];

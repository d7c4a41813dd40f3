import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { TObject } from 'typebox';
import { routesAsData, TestApi } from './testing/test-api.ts';

const secretFields = ['password', 'key', 'passphrase', 'pem', 'token', 'proof', 'request', 'certificate', 'masterSecret', 'publicKey'];

test('no secret of a body is in an audit entry or in a refusal, whether it fits the schema or not', async (t) => {
  const api = await TestApi.open(t);
  await api.ask('POST', '/devices', { body: { id: 'some' } });
  await api.ask('POST', '/users', { body: { id: 'person' } });
  const specs = routesAsData().filter(({ body }) => body !== undefined);
  const secret = fc.stringMatching(/^zz[0-9a-f]{38}$/);
  const shape = fc.constantFrom('fits', 'unknown', 'nested', 'list', 'long', 'broken');
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...specs), secret, shape, fc.boolean(), async (spec, chosen, how, separated) => {
      api.settings = { ...api.settings, separationOfDuties: separated };
      api.events.length = 0;
      const known = secretFields.filter((name) => name in ((spec.body as Partial<TObject>).properties ?? {}));
      const fields = known.length === 0 ? ['password'] : known;
      const put = { fits: chosen, unknown: chosen, nested: { a: chosen }, list: [chosen], long: chosen.repeat(2000), broken: chosen }[how];
      const body: Record<string, unknown> = { id: `x${chosen.slice(2, 10)}` };
      for (const name of fields) body[how === 'unknown' ? `${name}s` : name] = put;
      const path = spec.path.replaceAll(/\{\w+\}/g, 'some');
      const text = JSON.stringify(body);
      const headers = { 'content-type': 'application/json', 'idempotency-key': chosen };
      const answer = await api.ask(spec.method, path, { file: how === 'broken' ? text.slice(0, -1) : text, headers });
      const told = `${JSON.stringify(api.events)}${answer.status < 400 ? '' : answer.text}`;
      assert.ok(!told.includes(chosen), `${spec.operation} ${how}: ${told}`);
      const waiting = await api.registry.list('approval', '$system', {});
      assert.ok(!JSON.stringify(waiting).includes(chosen), `${spec.operation} ${how}: waits`);
    }),
    { numRuns: 300 },
  );
});

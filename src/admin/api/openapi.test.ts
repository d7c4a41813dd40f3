import assert from 'node:assert/strict';
import { test } from 'node:test';
import Schema from 'typebox/schema';
import { apiDescription } from './description.ts';
import { routesAsData, TestApi } from './testing/test-api.ts';

type Operation = {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required: boolean; readonly schema: object }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
  readonly responses: Readonly<
    Record<string, { readonly $ref?: string; readonly content?: Readonly<Record<string, { readonly schema: object }>> }>
  >;
};
type Description = {
  readonly openapi: string;
  readonly components: { readonly responses: object; readonly securitySchemes: object };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
};

test('every route is described, with its parameters, its body and its answers', async () => {
  const description = (await apiDescription()) as Description;
  assert.equal(description.openapi, '3.1.0');
  const specs = routesAsData();
  const described = Object.values(description.paths).flatMap((methods) => Object.values(methods));
  assert.equal(described.length, specs.length);
  for (const spec of specs) {
    const operation = description.paths[`/api/v1${spec.path}`]?.[spec.method.toLowerCase()];
    assert.ok(operation, spec.operation);
    assert.equal(operation.operationId, spec.operation);
    assert.ok(operation.description.includes(spec.permission), spec.operation);
    const named = (place: string) =>
      (operation.parameters ?? [])
        .filter((each) => each.in === place)
        .map(({ name }) => name)
        .toSorted();
    assert.deepEqual(named('path'), [...spec.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!).toSorted(), spec.operation);
    const tenant = spec.scope === 'tenant' ? ['tenant'] : [];
    assert.deepEqual(named('query'), [...Object.keys(spec.query?.properties ?? {}), ...tenant].toSorted(), spec.operation);
    assert.equal(operation.requestBody !== undefined, spec.body !== undefined || spec.takes !== undefined, spec.operation);
    const statuses = [...Object.keys(spec.answers), ...(spec.duty === undefined ? [] : ['202']), 'default'];
    assert.deepEqual(Object.keys(operation.responses).toSorted(), statuses.toSorted(), spec.operation);
  }
});

test('every schema in it is one, and every reference leads somewhere', async () => {
  const description = (await apiDescription()) as Description;
  let schemas = 0;
  const visit = (value: unknown, key: string): void => {
    if (typeof value !== 'object' || value === null) return;
    if (key === 'schema') {
      schemas++;
      // A schema that cannot be compiled throws.
      Schema.Compile(value as never);
      assert.ok(Object.keys(value).length > 0, 'an empty schema says nothing');
    }
    const reference = (value as { $ref?: unknown }).$ref;
    if (typeof reference === 'string') {
      const target = reference
        .slice(2)
        .split('/')
        .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], description);
      assert.ok(target, reference);
    }
    for (const [name, inner] of Object.entries(value)) visit(inner, name);
  };
  visit(description, '');
  assert.ok(schemas > 200, String(schemas));
});

test('the description is served as it is', async (t) => {
  const api = await TestApi.open(t);
  const { status, body } = await api.ask('GET', '/openapi.json');
  assert.equal(status, 200);
  assert.deepEqual(body, JSON.parse(JSON.stringify(await apiDescription())));
});

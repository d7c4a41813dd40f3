// The shapes that several routes share. What is said here validates requests, and describes them.

import { Type, type TObject, type TProperties, type TSchema } from 'typebox';
import { maxPage } from '../../registry/registry.ts';

/** Most characters of a name in a path or a body; what else it must be, the registry says. */
export const maxIdLength = 128;

export function object<Properties extends TProperties>(
  properties: Properties,
  options: { description?: string } = {},
): TObject<Properties> {
  return Type.Object(properties, { additionalProperties: false, ...options });
}

export function text(description: string, options: { minLength?: number; maxLength?: number; pattern?: string } = {}) {
  return Type.String({ maxLength: 256, ...options, description });
}

export function count(description: string, options: { minimum?: number; maximum?: number } = {}) {
  return Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, ...options, description });
}

export function choice<const Values extends string[]>(values: readonly [...Values], description: string) {
  return Type.Enum(values, { type: 'string', description });
}

export function moment(description: string) {
  return Type.Integer({ minimum: 0, maximum: 8.64e15, description: `${description} Milliseconds since 1970, UTC.` });
}

export const id = Type.String({ minLength: 1, maxLength: maxIdLength, description: 'Name within the tenant.' });
export const idParams = object({ id });

export const tenantName = Type.String({
  minLength: 1,
  maxLength: maxIdLength,
  description: 'Which tenant is meant. Absent: the own one; for system-wide administrators `main`.',
});

/** Parameters of a list in pages. */
export const pageQuery = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: maxPage,
      default: 100,
      description: 'Most entries of the page. There may be fewer, and still more to come.',
    }),
  ),
  after: Type.Optional(Type.String({ maxLength: 1024, description: '`next` of the page before.' })),
};

export const prefix = Type.Optional(Type.String({ maxLength: maxIdLength, description: 'Only names that begin with this.' }));

export function pageOf<Item extends TSchema>(item: Item, description: string) {
  return {
    description,
    schema: object({
      entries: Type.Array(item),
      next: Type.Optional(Type.String({ description: 'Give it as `after` to get the next page. Absent: this is the last one.' })),
    }),
  };
}

/** What every entry of the registry has. */
export const head = {
  tenant: Type.String({ description: 'Tenant it belongs to.' }),
  id,
  version: Type.Integer({ description: 'Rises with each change; also sent as ETag, to be given back in If-Match.' }),
  createdMs: moment('When it was made.'),
  updatedMs: moment('When it was changed last.'),
};

export const problemSchema = Type.Object(
  {
    type: Type.String({ description: '`urn:heliograph:problem:` and the code.' }),
    title: Type.String({ description: 'What the status means.' }),
    status: Type.Integer(),
    code: Type.String({ description: 'For programs.' }),
    detail: Type.String({ description: 'For people.' }),
    field: Type.Optional(Type.String({ description: 'Which part of the request.' })),
    version: Type.Optional(Type.Integer({ description: 'The version that the entry has now.' })),
  },
  { description: 'RFC 9457.' },
);

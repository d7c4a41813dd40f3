// What must hold of issuers of tokens and of the webhook.

import { nameFault } from '../message/names.ts';
import { outboundUrlFault } from '../security/authentication/outbound-json.ts';
import type { Config } from './schema.ts';
import type { Violation } from './relations.ts';

type Issuer = Config['security']['jwt']['issuers'][number];

export function* outsideAuthenticationViolations({ security }: Config): Generator<Violation> {
  const seen = new Set<string>();
  for (const [i, issuer] of security.jwt.issuers.entries()) {
    const path = `security.jwt.issuers.${i}`;
    for (const [field, value] of [
      ['name', issuer.name],
      ['issuer', issuer.issuer],
    ] as const) {
      if (seen.has(`${field} ${value}`))
        yield { path: `${path}.${field}`, what: `is that of another issuer: ${value}`, fix: 'give each once' };
      seen.add(`${field} ${value}`);
    }
    yield* keysViolations(issuer, path);
    yield* nameViolations(path, [
      ...(issuer.tenants ?? []),
      ...(issuer.tenant === undefined ? [] : [issuer.tenant]),
      ...(issuer.roles ?? []),
    ]);
  }
  const { url, tenant, tenants } = security.webhook;
  yield* nameViolations('security.webhook', [tenant, ...tenants]);
  if (url !== undefined) yield* urlViolations('security.webhook.url', url);
}

function* keysViolations({ keys = 'discovery', keysUrl, keysFile, issuer }: Issuer, path: string): Generator<Violation> {
  const given = { discovery: undefined, url: keysUrl, file: keysFile };
  if (keys !== 'discovery' && given[keys] === undefined) {
    const field = keys === 'url' ? 'keysUrl' : 'keysFile';
    yield { path, what: `keys: ${keys} needs ${field}`, fix: `add ${field}` };
  }
  for (const [kind, field] of [
    ['url', 'keysUrl'],
    ['file', 'keysFile'],
  ] as const) {
    if (kind !== keys && given[kind] !== undefined)
      yield { path: `${path}.${field}`, what: `has no meaning with keys: ${keys}`, fix: `write keys: ${kind}, or remove it` };
  }
  if (keys === 'discovery') yield* urlViolations(`${path}.issuer`, issuer);
  if (keysUrl !== undefined) yield* urlViolations(`${path}.keysUrl`, keysUrl);
}

function* urlViolations(path: string, url: string): Generator<Violation> {
  const fault = outboundUrlFault(url);
  if (fault !== undefined) yield { path, what: fault, fix: 'write https://host/path' };
}

function* nameViolations(path: string, names: readonly string[]): Generator<Violation> {
  for (const name of names) {
    const fault = nameFault(name);
    if (fault !== undefined) yield { path, what: `the name ${JSON.stringify(name)} ${fault}`, fix: 'correct it' };
  }
}

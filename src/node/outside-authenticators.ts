// Tokens of issuers and the webhook, as the configuration sets them up.

import { readFile } from 'node:fs/promises';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { UserError } from '../base/user-error.ts';
import type { Config } from '../config.ts';
import { defaultTenant } from '../message/names.ts';
import type { Authenticator } from '../security/authentication/authenticator.ts';
import { defaultJwtAlgorithms, type JwtIssuer } from '../security/authentication/jwt-issuer.ts';
import type { KeySource } from '../security/authentication/key-set.ts';

type Services = { readonly clock: Clock; readonly random: Random; readonly log: Log };
type IssuerSettings = Config['security']['jwt']['issuers'][number];

const defaultSkewMs = 30_000;

/** Each is loaded only where it is used. @throws UserError */
export async function outsideAuthenticators({ security }: Config, services: Services): Promise<Authenticator[]> {
  const { issuers, ...limits } = security.jwt;
  const authenticators: Authenticator[] = [];
  if (issuers.length > 0) {
    const { JwtAuthenticator } = await import('../security/authentication/jwt.ts');
    const settings = issuers.map((one) => ({ ...issuerOf(one), keys: keysOf(one) }));
    authenticators.push(new JwtAuthenticator({ issuers: settings, limits }, services));
  }
  const { url, authorizationFile, ...webhook } = security.webhook;
  if (url !== undefined) {
    const { WebhookAuthenticator } = await import('../security/authentication/webhook.ts');
    const authorization = authorizationFile === undefined ? undefined : await secretIn(authorizationFile);
    authenticators.push(new WebhookAuthenticator({ kind: undefined, ...webhook, url, authorization }, services));
  }
  return authenticators;
}

function issuerOf(settings: IssuerSettings): JwtIssuer {
  const { claims = {}, tenants = [], roles = [], tenant = defaultTenant, grantable } = settings;
  return {
    name: settings.name,
    issuer: settings.issuer,
    audience: settings.audience,
    algorithms: settings.algorithms ?? defaultJwtAlgorithms,
    clockSkewMs: settings.clockSkewMs ?? defaultSkewMs,
    maxAgeMs: settings.maxAgeMs ?? 0,
    kind: settings.kind,
    tenant,
    tenants,
    roles,
    grantable,
    claims: { ...claims, id: claims.id ?? 'sub' },
    username: settings.username ?? 'ignored',
  };
}

function keysOf({ keys, keysUrl, keysFile, issuer }: IssuerSettings): KeySource {
  if (keys === 'url') return { kind: 'url', url: keysUrl! };
  if (keys === 'file') return { kind: 'file', read: () => readFile(keysFile!, 'utf8') };
  return { kind: 'discovery', issuer };
}

async function secretIn(path: string): Promise<string> {
  const text = (await readFile(path, 'utf8').catch((error: unknown) => error as Error)) as string | Error;
  if (typeof text !== 'string') {
    throw new UserError(`What is sent to the webhook cannot be read: ${text.message}`, {
      where: path,
      fix: 'check the path, and who may read it',
    });
  }
  // A header of anything else would fail at each question. The text is a secret: it is not repeated.
  if (!/^[\x20-\x7e]{1,4096}$/.test(text.trim())) {
    throw new UserError('What is sent to the webhook is not one line of ASCII.', {
      where: path,
      fix: 'write a line such as: Bearer <token>',
    });
  }
  return text.trim();
}

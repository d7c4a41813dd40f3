// What is asked of the file by whoever may wait: in this thread, or in the one that has it for its own. Everything here can be sent.

import type { Kind } from '../entries.ts';
import { value, type AuthorityQuery, type PageQuery, type Query, type Result, type Write } from '../registry.ts';
import { authoritiesPage, expiringPage, listPage, revokedPage } from '../sql/pages.ts';
import { bySerial, byTokenHash } from '../sql/reads.ts';
import type { RegistryFile } from './registry-file.ts';

export type Call =
  | { readonly what: 'list'; readonly kind: Kind; readonly tenant: string; readonly query: Query }
  | { readonly what: 'authorities'; readonly query: AuthorityQuery }
  | { readonly what: 'token'; readonly tokenHash: string }
  | { readonly what: 'serial'; readonly issuer: string; readonly serial: string }
  | { readonly what: 'revoked'; readonly issuer: string; readonly query: PageQuery }
  | { readonly what: 'expiring'; readonly fromMs: number; readonly beforeMs: number; readonly query: PageQuery }
  | { readonly what: 'apply'; readonly writes: readonly Write[]; readonly atomic: boolean; readonly nowMs: number };

/** @throws RegistryFailure */
export function perform(file: RegistryFile, call: Call): Result<unknown> {
  switch (call.what) {
    case 'list':
      return file.run(listPage(call.kind, call.tenant, call.query));
    case 'authorities':
      return file.run(authoritiesPage(call.query));
    case 'token':
      return value(file.run(byTokenHash(call.tokenHash)));
    case 'serial':
      return value(file.run(bySerial(call.issuer, call.serial)));
    case 'revoked':
      return file.run(revokedPage(call.issuer, call.query));
    case 'expiring':
      return file.run(expiringPage(call.fromMs, call.beforeMs, call.query));
    case 'apply':
      return file.apply(call.writes, call.atomic, call.nowMs);
  }
}

export type ThreadData = { readonly path: string; readonly writeWaitMs: number };
export type ToThread = { readonly id: number; readonly call: Call } | 'close';
export type FromThread = { readonly id: number; readonly result: Result<unknown> } | { readonly id: number; readonly bug: string };

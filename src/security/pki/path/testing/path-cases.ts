// Chains, right and wrong, and what is to be said of each. `openssl verify` is asked the same (../openssl-verify.test.ts).

import type { CertificateFault } from '../../../security.ts';
import { context, tags } from '../../der/der-reader.ts';
import { element, extension, integer, oid, sequence } from '../../der/der-writer.ts';
import {
  dayMs,
  directoryName,
  dn,
  dnsName,
  dnWithEmail,
  emailName,
  ipName,
  keyPair,
  keyUsage,
  nowMs,
  otherName,
  type PathCert,
  registeredId,
  root,
  uriName,
  usage,
  type Parts,
} from './path-maker.ts';

export type PathCase = {
  readonly name: string;
  readonly trusted: readonly PathCert[];
  /** The peer's own first. */
  readonly chain: readonly PathCert[];
  /** undefined: it is right. */
  readonly fault: CertificateFault | undefined;
  /** Why OpenSSL takes it all the same, or refuses what is right here. */
  readonly differs?: string;
};

export function pathCases(): PathCase[] {
  return [
    ...simpleCases(),
    ...authorityCases(),
    ...lengthCases(),
    ...usageCases(),
    ...trustCases(),
    ...constraintCases(),
    ...constraintChainCases(),
  ];
}

const top = root();
const middle = top.authority('middle');

function simpleCases(): PathCase[] {
  const own = (parts: Parts): readonly PathCert[] => [middle.client('device', parts), middle];
  const one = (name: string, chain: readonly PathCert[], fault?: CertificateFault): PathCase => ({ name, trusted: [top], chain, fault });
  const others = root();
  return [
    one('directly below the root', [top.client()]),
    one('below an authority that the peer sends', own({})),
    one('in any order', [top.authority('a').authority('b').client(), middle], 'unknown-authority'),
    one('for clients', own({ usages: [usage.client] })),
    one('for clients and servers', own({ usages: [usage.server, usage.client] })),
    one('without key usage', own({ keyUsage: 'none' })),
    one('without key ids', own({ withoutKeyIds: true })),
    one('with an Ed25519 key', own({ keys: keyPair('ed25519') })),
    one('with an RSA key', own({ keys: keyPair('rsa2048') })),
    one('expired', own({ toMs: nowMs - 1000 }), 'expired'),
    one('not yet valid', own({ fromMs: nowMs + dayMs }), 'not-yet-valid'),
    one('signed by another key', own({ signer: keyPair(), withoutKeyIds: true }), 'bad-signature'),
    one('forged', own({ isForged: true }), 'bad-signature'),
    one('issued by somebody unknown', [others.client()], 'unknown-authority'),
    one('below an authority that the peer does not send', [middle.client()], 'unknown-authority'),
    one('signed by itself', [root('self', { authority: false })], 'unknown-authority'),
    one('with a small RSA key', own({ keys: keyPair('rsa1024') }), 'other'),
    one('signed with SHA-1', own({ hash: 'sha1' }), 'other'),
    one('of version 1', own({ version: 0 })),
    one('with an unknown extension', own({ more: [extension('1.2.3.4', sequence())] })),
    one('with an unknown critical extension', own({ more: [extension('1.2.3.4', sequence(), true)] }), 'other'),
    one('with critical policies', own({ more: [extension('2.5.29.32', sequence(sequence(oid('1.2.3.4'))), true)] })),
    one('for servers', own({ usages: [usage.server] }), 'wrong-usage'),
    one('for anything, by name', own({ usages: [usage.any] }), 'wrong-usage'),
    one('with a key that only enciphers', own({ keyUsage: keyUsage.encipher }), 'wrong-usage'),
    {
      ...one('with a key that only agrees', own({ keyUsage: keyUsage.agree }), 'wrong-usage'),
      differs: 'OpenSSL has fixed key agreement in mind',
    },
    {
      ...one('on a curve that is not taken', own({ keys: keyPair('secp256k1') }), 'other'),
      differs: 'OpenSSL counts bits, and takes every curve',
    },
  ];
}

function authorityCases(): PathCase[] {
  const between = (parts: Parts): readonly PathCert[] => {
    const authority = top.authority('between', parts);
    return [authority.client(), authority];
  };
  const one = (name: string, parts: Parts, fault?: CertificateFault): PathCase => ({
    name: `authority ${name}`,
    trusted: [top],
    chain: between(parts),
    fault,
  });
  return [
    one('without key usage', { keyUsage: 'none' }),
    one('that is none', { authority: false }, 'unknown-authority'),
    one('that does not say so', { isPlain: true }, 'unknown-authority'),
    one('whose key may not sign certificates', { keyUsage: keyUsage.crlSign }, 'unknown-authority'),
    one('expired', { toMs: nowMs - 1000 }, 'expired'),
    one('not yet valid', { fromMs: nowMs + dayMs }, 'not-yet-valid'),
    one('for servers', { usages: [usage.server] }, 'wrong-usage'),
    one('for clients', { usages: [usage.client] }),
    one('with an unknown critical extension', { more: [extension('1.2.3.4', sequence(), true)] }, 'other'),
    one('with a small RSA key', { keys: keyPair('rsa1024') }, 'other'),
    one('signed with SHA-1', { hash: 'sha1' }, 'other'),
    one('forged', { isForged: true }, 'bad-signature'),
    one('with an RSA key', { keys: keyPair('rsa2048') }),
    one('with a P-384 key', { keys: keyPair('p384') }),
  ];
}

function lengthCases(): PathCase[] {
  const chainOf = (top0: PathCert, ...authorities: readonly (Parts & { readonly name: string })[]): PathCert[] => {
    let above = top0;
    const chain: PathCert[] = [];
    for (const { name, ...parts } of authorities) {
      above = above.authority(name, parts);
      chain.unshift(above);
    }
    return [above.client(), ...chain];
  };
  const trusted = [top];
  const short = root('short', { authority: 0 });
  const renewed = top.authority('a', { authority: 0 });
  const selfIssued = renewed.authority('a', { subject: renewed.subject });
  const long = chainOf(top, ...Array.from({ length: 5 }, (_, i) => ({ name: `a${i}` })));
  return [
    { name: 'path length that is just enough', trusted, chain: chainOf(top, { name: 'a', authority: 1 }, { name: 'b' }), fault: undefined },
    {
      name: 'path length 0 with an authority below',
      trusted,
      chain: chainOf(top, { name: 'a', authority: 0 }, { name: 'b' }),
      fault: 'path-too-long',
    },
    {
      name: 'path length exceeded by two',
      trusted,
      chain: chainOf(top, { name: 'a', authority: 1 }, { name: 'b' }, { name: 'c' }),
      fault: 'path-too-long',
    },
    { name: 'path length of the root', trusted: [short], chain: chainOf(short, { name: 'a' }), fault: 'path-too-long' },
    { name: 'path length of the root, just enough', trusted: [short], chain: [short.client()], fault: undefined },
    { name: 'self-issued ones do not count', trusted, chain: [selfIssued.client(), selfIssued, renewed], fault: undefined },
    { name: 'six certificates', trusted, chain: long, fault: undefined },
    {
      name: 'seven certificates',
      trusted,
      chain: chainOf(top, ...Array.from({ length: 6 }, (_, i) => ({ name: `a${i}` }))),
      fault: 'path-too-long',
      differs: 'OpenSSL takes a hundred',
    },
  ];
}

function usageCases(): PathCase[] {
  const forServers = root('for servers', { usages: [usage.server] });
  const expired = root('expired root', { toMs: nowMs - 1000 });
  const noAuthority = root('no authority', { authority: false });
  const first = root('version 1', { version: 0 });
  return [
    { name: 'root for servers', trusted: [forServers], chain: [forServers.client()], fault: 'wrong-usage' },
    { name: 'root expired', trusted: [expired], chain: [expired.client()], fault: 'expired' },
    { name: 'root that is no authority', trusted: [noAuthority], chain: [noAuthority.client()], fault: 'unknown-authority' },
    {
      name: 'root of version 1',
      trusted: [first],
      chain: [first.client()],
      fault: 'unknown-authority',
      differs: 'OpenSSL takes roots that cannot say that they are authorities',
    },
  ];
}

function trustCases(): PathCase[] {
  const oldKeys = keyPair();
  const newKeys = keyPair();
  const oldRoot = root('authority', { keys: oldKeys });
  const newRoot = root('authority', { keys: newKeys });
  // The new key, vouched for by the old one (RFC 4210 §4.4).
  const newByOld = oldRoot.authority('authority', { keys: newKeys, subject: newRoot.subject });
  const crossed = root('other root').authority('authority', { keys: newKeys, subject: newRoot.subject });
  const a0 = root('a');
  const b0 = root('b');
  const aByB = b0.authority('a', { keys: a0.keys, subject: a0.subject });
  const bByA = a0.authority('b', { keys: b0.keys, subject: b0.subject });
  const looks = root('A  Root ', { subject: dn('A  Root ', 'Org', 0x13) });
  const written = looks.client('device', { issuerName: dn('a root', 'ORG') });
  const expiredTwin = root('twin', { toMs: nowMs - 1000 });
  const twin = root('twin', { keys: expiredTwin.keys, subject: expiredTwin.subject });
  return [
    { name: 'issuing authority that is trusted, with its root', trusted: [top, middle], chain: [middle.client()], fault: undefined },
    {
      name: 'issuing authority that is trusted, without its root',
      trusted: [middle],
      chain: [middle.client()],
      fault: 'unknown-authority',
    },
    { name: 'its root sent along', trusted: [top], chain: [middle.client(), middle, top], fault: undefined },
    { name: 'a root of its own sent along', trusted: [top], chain: [a0.client(), a0], fault: 'unknown-authority' },
    { name: 'new root where only the old one is trusted', trusted: [oldRoot], chain: [newRoot.client(), newByOld], fault: undefined },
    { name: 'new and old root with one name', trusted: [oldRoot, newRoot], chain: [newRoot.client()], fault: undefined },
    {
      name: 'new and old root with one name, and no key ids',
      trusted: [oldRoot, newRoot],
      chain: [newRoot.client('x', { withoutKeyIds: true })],
      fault: undefined,
      differs: 'OpenSSL tries only the first of several authorities with one name',
    },
    { name: 'cross-signed by somebody unknown, root trusted', trusted: [newRoot], chain: [newRoot.client(), crossed], fault: undefined },
    { name: 'authorities that sign each other in a loop', trusted: [top], chain: [a0.client(), aByB, bByA], fault: 'unknown-authority' },
    { name: 'a loop with a way out', trusted: [a0], chain: [b0.client(), bByA, aByB], fault: undefined },
    { name: 'a root twice, once expired', trusted: [expiredTwin, twin], chain: [twin.client()], fault: undefined },
    { name: 'a name written in another way', trusted: [looks], chain: [written], fault: undefined },
    { name: 'nothing is trusted', trusted: [], chain: [top.client(), top], fault: 'unknown-authority' },
    { name: 'others are sent along', trusted: [top], chain: [middle.client(), a0, middle, b0], fault: undefined },
  ];
}

/** A client's certificate below an authority that is held to names. */
function held(name: string, constraints: Parts, own: Parts, isRight: boolean): PathCase {
  const authority = top.authority('held', constraints);
  return {
    name: `name constraints: ${name}`,
    trusted: [top],
    chain: [authority.client('device', own), authority],
    fault: isRight ? undefined : 'name-not-permitted',
  };
}

function constraintCases(): PathCase[] {
  const dns = { permitted: [dnsName('example.com')] };
  const email = { permitted: [emailName('example.com')] };
  const uri = { permitted: [uriName('example.com')] };
  const ip = { permitted: [ipName(10, 1, 0, 0, 255, 255, 0, 0)] };
  const directory = { permitted: [directoryName(dn('', 'Org'))] };
  const other = { permitted: [otherName('1.2.3', 'x')] };
  const six = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
  const sixNet = [...six.slice(0, 4), ...Array.from({ length: 12 }, () => 0), 255, 255, 255, 255, ...Array.from({ length: 12 }, () => 0)];
  return [
    held('DNS name below', dns, { names: [dnsName('a.example.com')] }, true),
    held('DNS name itself, in capitals', dns, { names: [dnsName('EXAMPLE.com')] }, true),
    held('DNS name elsewhere', dns, { names: [dnsName('example.org')] }, false),
    held('DNS name that only ends like it', dns, { names: [dnsName('badexample.com')] }, false),
    held('one of several DNS names elsewhere', dns, { names: [dnsName('a.example.com'), dnsName('b.org')] }, false),
    held('DNS subtree with a dot in front', { permitted: [dnsName('.example.com')] }, { names: [dnsName('a.example.com')] }, true),
    held(
      'DNS subtree with a dot in front, name itself',
      { permitted: [dnsName('.example.com')] },
      { names: [dnsName('example.com')] },
      false,
    ),
    held('DNS name excluded', { excluded: [dnsName('example.com')] }, { names: [dnsName('a.example.com')] }, false),
    held('DNS name not excluded', { excluded: [dnsName('example.com')] }, { names: [dnsName('a.example.org')] }, true),
    held('permitted and excluded', { ...dns, excluded: [dnsName('a.example.com')] }, { names: [dnsName('x.a.example.com')] }, false),
    held('no name of the form', dns, { names: [uriName('heliograph:t/d')] }, true),
    held('common name that is a host', dns, { subject: dn('host.example.org') }, false),
    held('common name that is a host, permitted', dns, { subject: dn('host.example.com') }, true),
    held('mail address at the host', email, { names: [emailName('me@example.com')] }, true),
    held('mail address below the host', email, { names: [emailName('me@a.example.com')] }, false),
    held('mail address in the subject', email, { subject: dnWithEmail('device', 'me@example.org') }, false),
    held('one mail address', { permitted: [emailName('me@example.com')] }, { names: [emailName('you@example.com')] }, false),
    held('URI at the host', uri, { names: [uriName('coaps://example.com/x')] }, true),
    held('URI at the host, with port', uri, { names: [uriName('coaps://EXAMPLE.com:5684/x')] }, true),
    held('URI elsewhere', uri, { names: [uriName('coaps://a.example.com/x')] }, false),
    held('URI below', { permitted: [uriName('.example.com')] }, { names: [uriName('coaps://a.example.com/x')] }, true),
    held('URI without a host', uri, { names: [uriName('heliograph:t/d')] }, false),
    held('URI without a host, excluded elsewhere', { excluded: [uriName('example.com')] }, { names: [uriName('heliograph:t/d')] }, false),
    held('address in the network', ip, { names: [ipName(10, 1, 2, 3)] }, true),
    held('address outside the network', ip, { names: [ipName(10, 2, 2, 3)] }, false),
    held('IPv6 address where IPv4 is permitted', ip, { names: [ipName(...six)] }, false),
    held('IPv6 address in the network', { permitted: [ipName(...sixNet)] }, { names: [ipName(...six)] }, true),
    held('subject within', directory, { subject: dn('device', 'Org') }, true),
    held('subject within, written in another way', directory, { subject: dn('device', ' oRG ', 0x13) }, true),
    held('subject elsewhere', directory, { subject: dn('device', 'Other') }, false),
    held('directory name elsewhere', directory, { subject: dn('device', 'Org'), names: [directoryName(dn('x', 'Other'))] }, false),
    held('subject excluded', { excluded: [directoryName(dn('', 'Org'))] }, { subject: dn('device', 'Org') }, false),
    held('a form that is not understood, and not in the certificate', other, {}, true),
    held('a form that is not understood', other, { names: [otherName('1.2.3', 'x')] }, false),
    held('another form that is not understood', other, { names: [registeredId('1.2.3')] }, true),
  ];
}

function constraintChainCases(): PathCase[] {
  const dns = { permitted: [dnsName('example.com')] };
  const directory = { permitted: [directoryName(dn('', 'Org'))] };
  const constrainedRoot = root('constrained', dns);
  const below = constrainedRoot.authority('below');
  const renewed = top.authority('held', { subject: dn('held'), ...directory });
  const renewedBySelf = renewed.authority('held', { subject: dn('held') });
  return [
    {
      name: 'name constraints of the root',
      trusted: [constrainedRoot],
      chain: [below.client('x', { names: [dnsName('a.org')] }), below],
      fault: 'name-not-permitted',
    },
    {
      name: 'name constraints and a self-issued authority',
      trusted: [top],
      chain: [renewedBySelf.client('x', { subject: dn('x', 'Org') }), renewedBySelf, renewed],
      fault: undefined,
    },
    {
      name: 'name constraints with a base distance',
      trusted: [top],
      chain: distant(),
      fault: 'malformed',
    },
  ];
}

function distant(): readonly PathCert[] {
  const tree = sequence(dnsName('example.com'), element(0x80, integer(1).subarray(2)));
  const authority = top.authority('distant', { more: [extension('2.5.29.30', sequence(element(context(0), tree)), true)] });
  return [authority.client('x', { names: [dnsName('a.example.com')] }), authority];
}

/** Not used by a case of its own: a set where a sequence should be. */
export const notACertificate: Uint8Array = element(tags.set, sequence());

// Chains made at random, most of them right but for one or two places. Made of what OpenSSL and RFC 5280 agree on.

import { SeededRandom } from '../../../../base/random.ts';
import { extension, sequence } from '../../der/der-writer.ts';
import {
  dayMs,
  directoryName,
  dn,
  dnsName,
  ipName,
  keyPair,
  keyUsage,
  nowMs,
  root,
  usage,
  type Parts,
  type PathCert,
} from './path-maker.ts';

type Change = readonly [words: string, parts: () => Parts];

const always: readonly Change[] = [
  ['expired', () => ({ toMs: nowMs - dayMs / 2 })],
  ['not yet valid', () => ({ fromMs: nowMs + dayMs })],
  ['forged', () => ({ isForged: true })],
  ['for clients', () => ({ usages: [usage.client] })],
  ['for servers', () => ({ usages: [usage.server] })],
  ['unknown extension', () => ({ more: [extension('1.2.3.4', sequence())] })],
  ['unknown critical extension', () => ({ more: [extension('1.2.3.4', sequence(), true)] })],
  ['no key ids', () => ({ withoutKeyIds: true })],
  ['RSA key', () => ({ keys: keyPair('rsa2048') })],
  ['small RSA key', () => ({ keys: keyPair('rsa1024') })],
  ['Ed25519 key', () => ({ keys: keyPair('ed25519') })],
];

const ofAuthorities: readonly Change[] = [
  ['path length 0', () => ({ authority: 0 })],
  ['path length 1', () => ({ authority: 1 })],
  ['path length 2', () => ({ authority: 2 })],
  ['no authority', () => ({ authority: false })],
  ['may not sign certificates', () => ({ keyUsage: keyUsage.crlSign })],
  ['permits example.com', () => ({ permitted: [dnsName('example.com')] })],
  ['excludes a.example.com', () => ({ excluded: [dnsName('a.example.com')] })],
  ['permits Org', () => ({ permitted: [directoryName(dn('', 'Org'))] })],
  ['permits 10/8', () => ({ permitted: [ipName(10, 0, 0, 0, 255, 0, 0, 0)] })],
];

const ofClients: readonly Change[] = [
  ['is a.example.com', () => ({ names: [dnsName('a.example.com')] })],
  ['is b.example.com', () => ({ names: [dnsName('b.example.com')] })],
  ['is example.org', () => ({ names: [dnsName('example.org')] })],
  ['is of Org', () => ({ subject: dn('device', 'Org') })],
  ['has 10.1.1.1', () => ({ names: [ipName(10, 1, 1, 1)] })],
  ['has 11.1.1.1', () => ({ names: [ipName(11, 1, 1, 1)] })],
];

export type RandomChain = {
  readonly trusted: readonly PathCert[];
  readonly chain: readonly PathCert[];
  /** What is special about it. */
  readonly words: string;
};

export function randomChain(seed: number): RandomChain {
  const random = new SeededRandom(seed);
  const words: string[] = [];
  const chance = (part: number): boolean => random.float() < part;
  const change = (name: string, menu: readonly Change[]): Parts => {
    const parts: Parts = {};
    while (chance(0.25)) {
      const [word, made] = menu[random.below(menu.length)]!;
      Object.assign(parts, made());
      words.push(`${name} ${word}`);
    }
    return parts;
  };
  const trusted = [root('root', change('root', [...always.slice(0, 2), ...always.slice(3, 7), ...ofAuthorities.slice(0, 3)]))];
  let above = trusted[0]!;
  const sent: PathCert[] = [];
  for (let i = random.below(4); i > 0; i--) {
    above = above.authority(`authority ${i}`, change(`authority ${i}`, [...always, ...ofAuthorities]));
    if (chance(0.95)) sent.unshift(above);
    else words.push(`authority ${i} is not sent`);
  }
  const own = above.client('device', change('client', [...always, ...ofClients]));
  if (chance(0.2)) {
    trusted.push(root('another'));
    words.push('another root');
  }
  if (chance(0.2)) sent.reverse();
  if (chance(0.1)) sent.push(root('stranger'));
  return { trusted, chain: [own, ...sent], words: `${sent.length} sent, ${words.join(', ')}` };
}

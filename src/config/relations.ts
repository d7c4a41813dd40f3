// What must hold between settings. Each relation names the setting to point at.

import { ruleFaults } from '../security/policy/rules.ts';
import { filterProblem } from '../message/filter.ts';
import { userFaults } from '../security/user-directory.ts';
import { outsideAuthenticationViolations } from './outside-authentication.ts';
import { isDatagram, isPlaintext, isWebSocket, listenerKinds, secureCounterpart, takesPsk } from './listener-kinds.ts';
import { protocolKinds, settingsOf } from './protocol-kinds.ts';
import type { Config, ListenerConfig } from './schema.ts';

export type Violation = { readonly path: string; readonly what: string; readonly fix: string };

export function violations(config: Config): Violation[] {
  return [
    ...listenerViolations(config),
    ...securityViolations(config),
    ...outsideAuthenticationViolations(config),
    ...queueViolations(config),
    ...registryViolations(config),
    ...pkiViolations(config),
    ...limitViolations(config),
  ];
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Who is heard there has sealed what it says, and nobody else is. */
function wantsOscore({ authentication }: ListenerConfig): boolean {
  return authentication !== undefined && authentication.every((method) => method === 'oscore');
}

function* listenerViolations(config: Config): Generator<Violation> {
  const taken = new Map<string, string>();
  for (const [name, listener] of Object.entries(config.listeners)) {
    if (!listener.enabled) continue;
    const path = `listeners.${name}`;
    const plaintext = isPlaintext(listener.kind);
    if (plaintext && !isLoopback(listener.host) && !listener.allowPlaintext && !wantsOscore(listener)) {
      yield {
        path: `${path}.host`,
        what: `a listener of kind ${listener.kind} on ${listener.host} lets passwords and messages be read on the way`,
        fix: `${secureAdvice(listener.kind)}host: 127.0.0.1, or, if the network is trusted, add allowPlaintext: true`,
      };
    }
    // What it serves is public and signed: no TLS is needed, wherever it listens.
    if ((plaintext || listener.kind === 'pki') && listener.clientCertificate !== undefined) {
      yield { path: `${path}.clientCertificate`, what: `a listener of kind ${listener.kind} has no certificates`, fix: 'remove the line' };
    }
    if (listener.psk && !takesPsk(listener.kind)) {
      yield { path: `${path}.psk`, what: `a listener of kind ${listener.kind} has no pre-shared keys`, fix: 'remove the line' };
    }
    if (listener.psk && config.tls.profile === 'cnsa') {
      const fix = 'remove the line, or choose another profile';
      yield { path: `${path}.psk`, what: 'the profile cnsa has no cipher suite for pre-shared keys', fix };
    }
    for (const setting of ['paths', 'origins'] as const) {
      if (listener[setting] === undefined || isWebSocket(listener.kind)) continue;
      yield { path: `${path}.${setting}`, what: `a listener of kind ${listener.kind} has no ${setting}`, fix: 'remove the line' };
    }
    yield* groupViolations(path, listener);
    if (listener.port === 0) continue;
    const address = `${listener.host} port ${listener.port}`;
    // Streams and datagrams have ports of their own.
    const key = `${isDatagram(listener.kind) ? 'udp' : 'tcp'} ${address}`;
    const other = taken.get(key);
    if (other !== undefined) {
      yield { path: `${path}.port`, what: `listener ${other} already uses ${address}`, fix: 'choose another port' };
    }
    taken.set(key, name);
  }
}

function* groupViolations(path: string, { kind, host, multicastGroups = [] }: ListenerConfig): Generator<Violation> {
  if (multicastGroups.length === 0) return;
  if (listenerKinds[kind].wire !== 'udp') {
    yield { path: `${path}.multicastGroups`, what: `a listener of kind ${kind} has no groups`, fix: 'remove the line' };
  }
  if (['::', '0.0.0.0', '*'].includes(host)) {
    // Such a socket gets what goes to groups as well, and nobody can tell it from the rest.
    const fix = 'name the address of the interface, and add a listener for each further one';
    yield { path: `${path}.host`, what: 'a listener with multicastGroups cannot be on every interface', fix };
  }
  for (const group of multicastGroups) {
    const fix = 'take one such as 224.0.1.187 or ff05::fd, of the same family as host';
    const isGroup = isMulticast(group) && group.includes(':') === host.includes(':');
    if (!isGroup) yield { path: `${path}.multicastGroups`, what: `${group} is no group that ${host} can join`, fix };
  }
}

function isMulticast(address: string): boolean {
  // The first octet is 224 to 239, or ff.
  return /^(22[4-9]|23\d)(\.\d{1,3}){3}$/.test(address) || /^ff[0-9a-f]{2}:[0-9a-f:]*$/i.test(address);
}

function secureAdvice(kind: ListenerConfig['kind']): string {
  const secure = secureCounterpart(kind);
  return secure === undefined ? 'use ' : `use kind ${secure}, or `;
}

function* queueViolations({ queues, broker }: Config): Generator<Violation> {
  const notAName = (name: string): string | undefined => (/[+#\0]|^\$/u.test(name) ? `"${name}" cannot be the name of a queue` : undefined);
  const fix = 'leave out +, # and a $ in front';
  const inBroker = notAName(broker.deadLetterQueue);
  if (inBroker !== undefined) yield { path: 'broker.deadLetterQueue', what: inBroker, fix };
  for (const [i, { match, deadLetterQueue }] of queues.entries()) {
    const at = `queues.${i}`;
    const problem = filterProblem(match);
    if (problem !== undefined) yield { path: `${at}.match`, what: problem, fix: 'write a name, or a filter such as "orders/#"' };
    const earlier = queues.findIndex((each) => each.match === match);
    if (earlier < i)
      yield { path: `${at}.match`, what: `entry ${earlier + 1} has the same names, and comes first`, fix: 'make one of both' };
    const what = notAName(deadLetterQueue ?? '');
    if (what !== undefined) yield { path: `${at}.deadLetterQueue`, what, fix };
  }
}

function* registryViolations({ registry }: Config): Generator<Violation> {
  if (registry.kind === 'postgres' && registry.urlFile === undefined) {
    yield {
      path: 'registry.kind',
      what: 'postgres needs the address of its server',
      fix: 'add urlFile: the path of a file that holds postgresql://user:password@host:port/database',
    };
  }
}

function* pkiViolations({ pki }: Config): Generator<Violation> {
  const { module, pinFile, slot, tokenLabel } = pki.pkcs11;
  if (module === undefined) return;
  if (pinFile === undefined)
    yield { path: 'pki.pkcs11', what: 'the HSM wants a PIN', fix: 'add pinFile: the path of a file that holds it' };
  if ((slot === undefined) === (tokenLabel === undefined)) {
    yield { path: 'pki.pkcs11', what: 'it must be clear which token is meant', fix: 'give one of slot and tokenLabel' };
  }
}

function* securityViolations({ security, listeners }: Config): Generator<Violation> {
  for (const { at: place, what } of [...ruleFaults(security.rules), ...userFaults(security.users)]) {
    yield { path: `security.${place.replaceAll(/\[(\d+)\]/g, '.$1')}`, what, fix: 'correct it, or remove the entry' };
  }
  for (const [i, name] of security.anonymous.listeners.entries()) {
    if (Object.hasOwn(listeners, name)) continue;
    const names = Object.keys(listeners).join(', ');
    yield { path: `security.anonymous.listeners.${i}`, what: `there is no listener "${name}"`, fix: `name one of ${names}` };
  }
}

/** Limits that must stand in order: the first not above the second. */
const ordered: readonly (readonly [lower: string, upper: string, why: string])[] = [
  ['security.limits.banMs', 'security.limits.maxBanMs', 'bans only get longer'],
  ['security.limits.checksWaitingPerAddress', 'security.limits.checksWaiting', 'one address could not have more places than there are'],
  ['revocation.crlIntervalMs', 'revocation.crlValidityMs', 'a list must still be good when the next one comes'],
  ['net.outputLowWaterBytes', 'net.outputHighWaterBytes', 'congestion must end below where it begins'],
  ...protocolKinds.flatMap(({ ordered: ofProtocol }) => ofProtocol ?? []),
];

function* limitViolations(config: Config): Generator<Violation> {
  for (const [lower, upper, why] of ordered) {
    const low = at(config, lower);
    const high = at(config, upper);
    if (low > high) {
      yield { path: lower, what: `${low} is above ${upper}, which is ${high}: ${why}`, fix: `lower it, or raise ${upper}` };
    }
  }
  for (const kind of protocolKinds) {
    for (const setting of kind.powersOfTwo ?? []) {
      const path = `${kind.name}.${setting}`;
      const value = at(config, path);
      if (Number.isInteger(Math.log2(value))) continue;
      yield { path, what: `must be a power of two, but is ${value}`, fix: `use ${2 ** Math.round(Math.log2(value))}` };
    }
    yield* kind.problems?.(settingsOf(kind, config)) ?? [];
  }
}

function at(config: Config, path: string): number {
  let value: unknown = config;
  for (const key of path.split('.')) value = (value as Record<string, unknown>)[key];
  return value as number;
}

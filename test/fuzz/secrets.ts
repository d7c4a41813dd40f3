// What the fuzzed clients must not hear, in both worlds of connections: everything below `secret/`.

const sharedPrefix = /^\$share\/[^/]*\//;

/** Whether a subscription could show secrets. The broker asks for shared ones with their group, as policies are asked. */
export function seesSecrets(filter: string): boolean {
  return /^(secret|\+|#)(\/|$)/.test(filter.replace(sharedPrefix, ''));
}

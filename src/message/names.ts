// Names of tenants, users and devices. They go into topics, files and certificates, so they hold nothing that means something there.

/** Most characters of a name. */
export const maxNameLength = 128;

export const defaultTenant = 'main';

/** What is wrong with a name, in words; undefined when nothing is. */
export function nameFault(name: string): string | undefined {
  if (name.length === 0) return 'is empty';
  if (name.length > maxNameLength) return `is longer than ${maxNameLength} characters`;
  if (/[/+#]/.test(name)) return 'holds one of / + #, which mean something in topics';
  if (name.startsWith('$')) return 'starts with $, which is kept for the broker';
  if (!name.isWellFormed() || /[\p{Cc}\p{Cf}\p{Cn}\p{Zl}\p{Zp}]/u.test(name)) return 'holds a character that cannot be seen';
  if (name.trim() !== name) return 'starts or ends with a space';
  return undefined;
}

/** An account as a peer names it: `name` in the default tenant, or `tenant/name`. Undefined when it cannot be one. */
export function parseAccount(text: string): { readonly tenant: string; readonly name: string } | undefined {
  const slash = text.indexOf('/');
  const tenant = slash === -1 ? defaultTenant : text.slice(0, slash);
  const name = text.slice(slash + 1);
  return nameFault(tenant) === undefined && nameFault(name) === undefined ? { tenant, name } : undefined;
}

/** The one key of an account in tables. */
export function accountKey(tenant: string, name: string): string {
  return `${tenant}/${name}`;
}

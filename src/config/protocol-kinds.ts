// The protocols of the registry, for code that goes through all of them, and for the configuration that is made from them.

import type { SettingsOf, SettingsSection } from './fields.ts';
import type { ProtocolKind } from '../protocols/protocol-kind.ts';
import * as registry from '../protocols/registry.ts';

type Registry = typeof registry;
type ProtocolName = keyof Registry;

/** In alphabetical order. */
export const protocolKinds = Object.values(registry) as unknown as readonly ProtocolKind[];

/** Sections of the configuration by the names of their protocols. */
export const protocolSections = Object.fromEntries(protocolKinds.map(({ name, settings }) => [name, settings])) as unknown as {
  [Name in ProtocolName]: Registry[Name]['settings'];
};

export type ProtocolListenerKind = { [Name in ProtocolName]: keyof Registry[Name]['listenerKinds'] & string }[ProtocolName];

/** Its section of a configuration. */
export function settingsOf({ name }: { readonly name: string }, config: object): SettingsOf<SettingsSection> {
  return (config as Record<string, SettingsOf<SettingsSection>>)[name]!;
}

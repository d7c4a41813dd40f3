// Listeners for nodes that run beside others: whatever protocols there are, none of them takes a port that another node wants.

import { defaultListeners } from '../../src/config/listener-kinds.ts';

type Settings = { readonly port: 0; readonly host: '127.0.0.1' } | { readonly enabled: false };

/** All that are open by default, on loopback and on ports that the system chooses; with `open`, only those. YAML is JSON, too. */
export function freeListeners(open: readonly string[] = Object.keys(defaultListeners)): Record<string, Settings> {
  return Object.fromEntries(
    Object.keys(defaultListeners).map((name) => [name, open.includes(name) ? { port: 0, host: '127.0.0.1' } : { enabled: false }]),
  );
}

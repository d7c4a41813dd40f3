// The writes of one entry, which every registry does by the one that takes many.

import type { Entry, Fields, Kind, NewFields } from './entries.ts';
import type { Registry, Result, Write } from './registry.ts';

export abstract class SingleWrites implements Pick<Registry, 'create' | 'update' | 'remove'> {
  abstract apply(writes: readonly Write[], options: { readonly atomic: boolean }): Promise<Result<readonly Result<Entry<Kind>>[]>>;

  create<K extends Kind>(kind: K, tenant: string, id: string, fields: NewFields<K>): Promise<Result<Entry<K>>> {
    return this.#one({ do: 'create', kind, tenant, id, fields } as Write);
  }

  update<K extends Kind>(kind: K, tenant: string, id: string, fields: Partial<Fields[K]>, version?: number): Promise<Result<Entry<K>>> {
    return this.#one({ do: 'update', kind, tenant, id, fields, version } as Write);
  }

  remove<K extends Kind>(kind: K, tenant: string, id: string, version?: number): Promise<Result<Entry<K>>> {
    return this.#one({ do: 'remove', kind, tenant, id, version });
  }

  async #one<K extends Kind>(write: Write): Promise<Result<Entry<K>>> {
    const applied = await this.apply([write], { atomic: false });
    return applied.ok ? (applied.value[0] as Result<Entry<K>>) : applied;
  }
}

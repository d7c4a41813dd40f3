// What CoAP keeps of each tenant: its resource directory and its topics of the pub/sub draft. Read when somebody first asks.

import type { Client } from './client.ts';
import { Directory } from './directory.ts';
import type { House } from './house.ts';
import { Keeper } from './keeper.ts';
import { PubsubTopics } from './pubsub-topics.ts';

export class Tenant {
  readonly keeper: Keeper;
  readonly directory: Directory;
  readonly pubsub: PubsubTopics;

  constructor(house: House, name: string) {
    this.keeper = new Keeper(house, name, (kept) => {
      if (kept.kind === 'rd') this.directory.found(kept);
      else if (kept.kind === 'ps') this.pubsub.found(kept);
    });
    this.directory = new Directory(house, this.keeper);
    this.pubsub = new PubsubTopics(house, this.keeper);
  }

  close(): void {
    this.directory.close();
    this.pubsub.close();
    this.keeper.close();
  }
}

export class Tenants {
  readonly #house: House;
  readonly #byName = new Map<string, Tenant>();

  constructor(house: House) {
    this.#house = house;
  }

  /** The tenant of a client whose principal is known; it may not have been read yet (Keeper.whenLoaded). */
  of(client: Client): Tenant {
    const name = client.principal!.tenant;
    let tenant = this.#byName.get(name);
    if (tenant === undefined) this.#byName.set(name, (tenant = new Tenant(this.#house, name)));
    return tenant;
  }

  close(): void {
    for (const tenant of this.#byName.values()) tenant.close();
    this.#byName.clear();
  }
}

// The composition root: the only file that knows every room. A node is a list of parts; they start in order and stop in the
// opposite order.

import type { Log } from './base/log.ts';
import { differences, withLiveChanges, type Change, type Config } from './config.ts';
import { AdminPart } from './node/admin-part.ts';
import { auditPart } from './node/audit-part.ts';
import { brokerPart } from './node/broker-part.ts';
import { dataDirectoryPart } from './node/data-directory-part.ts';
import { enrolmentPart } from './node/enrolment-part.ts';
import { expiryPart } from './node/expiry-part.ts';
import { keystorePart } from './node/keystore-part.ts';
import { Lifecycle } from './node/lifecycle.ts';
import { ListenersPart, type OpenListener } from './node/listeners-part.ts';
import { liveCutPart } from './node/live-cut-part.ts';
import { loopPart } from './node/loop-part.ts';
import { oscorePart } from './node/oscore-part.ts';
import { pkiPart } from './node/pki-part.ts';
import { protocolsPart } from './node/protocols-part.ts';
import { PublicPkiPart } from './node/public-pki-part.ts';
import { registryPart } from './node/registry-part.ts';
import { revocationPart } from './node/revocation-part.ts';
import { Rooms } from './node/rooms.ts';
import { securityPart } from './node/security-part.ts';
import { systemTopicsPart } from './node/system-topics-part.ts';

export type NodeOptions = {
  readonly config: Config;
  readonly log: Log;
  /** Anonymous peers may do everything. */
  readonly dev: boolean;
  /** The node cannot go on and must not be left running; what was acknowledged is in the journal. */
  readonly onFatal: (error: unknown) => void;
};

export class HeliographNode {
  #config: Config;
  readonly #rooms: Rooms;
  readonly #listeners: ListenersPart;
  readonly #admin: AdminPart;
  readonly #publicPki: PublicPkiPart;
  readonly #lifecycle: Lifecycle;

  constructor({ config, log, dev, onFatal }: NodeOptions) {
    this.#config = config;
    const rooms = new Rooms(config, log, dev, onFatal);
    const listeners = new ListenersPart(rooms);
    const admin = new AdminPart(rooms, listeners);
    const publicPki = new PublicPkiPart(rooms);
    const refreshTls = (): void => {
      listeners.refreshTls();
      admin.refreshTls();
    };
    this.#rooms = rooms;
    this.#listeners = listeners;
    this.#admin = admin;
    this.#publicPki = publicPki;
    const parts = [
      dataDirectoryPart(rooms),
      auditPart(rooms),
      registryPart(rooms),
      pkiPart(rooms),
      keystorePart(rooms, refreshTls),
      revocationPart(rooms),
      securityPart(rooms),
      oscorePart(rooms),
      expiryPart(rooms),
      loopPart(rooms),
      brokerPart(rooms),
      liveCutPart(rooms),
      enrolmentPart(rooms),
      protocolsPart(rooms),
      systemTopicsPart(rooms, listeners),
      admin,
      publicPki,
      listeners,
    ];
    this.#lifecycle = new Lifecycle(parts, log);
  }

  get config(): Config {
    return this.#config;
  }

  /** Where peers can connect, with the ports that the system chose. */
  get listeners(): readonly OpenListener[] {
    return [...this.#listeners.open, ...this.#admin.open, ...this.#publicPki.open];
  }

  /** The administrator that this start made, if it was the first; its password is kept nowhere. */
  get firstAdmin(): { readonly name: string; readonly password: string } | undefined {
    return this.#rooms.firstAdmin;
  }

  /** PEM file of the authority that clients trust when the server's certificate was issued here; undefined when it was not. */
  get authorityFile(): string | undefined {
    return this.#config.tls.certificates.length === 0 ? this.#rooms.keystore.authorityFile : undefined;
  }

  /** @throws UserError when something outside stands in the way (a port in use, an unwritable directory…); nothing is left open */
  start(): Promise<void> {
    return this.#lifecycle.start(this.#config.node.shutdownTimeoutMs);
  }

  /** Stops within the configured time. Returns false when something had to be given up. May be called again. */
  stop(): Promise<boolean> {
    return this.#lifecycle.stop(this.#config.node.shutdownTimeoutMs);
  }

  /**
   * Applies what can change while running, and returns every change, also those that want a restart.
   * @throws UserError when a part cannot take it; then everything stays as it was
   */
  async reload(config: Config): Promise<readonly Change[]> {
    const changes = differences(this.#config, config);
    const merged = withLiveChanges(this.#config, config);
    try {
      await this.#lifecycle.reload(merged);
    } catch (error) {
      // Parts before the one that could not take it already have: back to what was in force.
      await this.#lifecycle.reload(this.#config).catch(() => {});
      throw error;
    }
    this.#config = merged;
    return changes;
  }
}

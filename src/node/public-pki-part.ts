import { PkiServer } from '../security/pki/revocation/pki-server.ts';
import type { OpenListener } from './listeners-part.ts';
import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';

/** Listeners of kind pki: lists, OCSP and certificates of the own authorities, for everybody. */
export class PublicPkiPart implements Part {
  readonly name = 'public material of the authorities';
  readonly #rooms: Rooms;
  readonly #open: OpenListener[] = [];
  #server: PkiServer | undefined;

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
  }

  get open(): readonly OpenListener[] {
    return this.#open;
  }

  async start(): Promise<void> {
    const { config, clock, log, revocation } = this.#rooms;
    const wanted = Object.entries(config.listeners).filter(([, { kind, enabled }]) => enabled && kind === 'pki');
    const own = revocation?.own;
    if (wanted.length === 0 || own === undefined) return;
    const server = new PkiServer({
      authorities: own.authorities,
      crls: own.lists,
      ocsp: own.ocsp,
      clock,
      log,
      settings: config.revocation,
    });
    this.#server = server;
    try {
      for (const [name, { kind, host, port }] of wanted) {
        const bound = await server.listen({ name, host, port });
        this.#open.push({ name, kind, host, port: bound });
      }
    } catch (error) {
      await server.close();
      throw error;
    }
    this.#rooms.publicPki = server;
  }

  async stop(): Promise<void> {
    this.#open.length = 0;
    await this.#server?.close();
  }
}

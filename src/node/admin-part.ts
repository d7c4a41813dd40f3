import { resolve } from 'node:path';
import { createAdminServer, type AdminServer, type AdminTls } from '../admin/admin-server.ts';
import { newAdminToken, publishLocalAccess, withdrawLocalAccess } from '../admin/local-access.ts';
import { tokenOwner } from '../admin/api/token-owner.ts';
import { BrokerMetrics } from '../broker/broker-metrics.ts';
import type { Config, ListenerConfig } from '../config.ts';
import { listenerKinds } from '../config/listener-kinds.ts';
import { isLoopback } from '../config/relations.ts';
import { hostAndPort, plainAddress } from '../net/address.ts';
import { NetCounters } from '../net/counters.ts';
import { HttpDoor } from '../net/http-door.ts';
import { failureOf, faultOf, serverContexts } from '../net/tls.ts';
import { describeCertificate } from '../security/peer-certificate.ts';
import { apiServicesOf } from './api-services.ts';
import type { ListenersPart, OpenListener } from './listeners-part.ts';
import { tlsSettings } from './options.ts';
import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';
import { gatherStatus, notReady } from './status.ts';

/** The management interface. Opened before the messaging listeners, closed after them: what happens in between can be watched. */
export class AdminPart implements Part {
  readonly name = 'management interface';
  readonly #rooms: Rooms;
  readonly #listeners: ListenersPart;
  readonly #open: OpenListener[] = [];
  #config: Config;
  #server: AdminServer | undefined;
  #door: HttpDoor | undefined;

  constructor(rooms: Rooms, listeners: ListenersPart) {
    this.#rooms = rooms;
    this.#listeners = listeners;
    this.#config = rooms.config;
  }

  get open(): readonly OpenListener[] {
    return this.#open;
  }

  async start(): Promise<void> {
    const { config, random, log, clock, security, traces } = this.#rooms;
    const wanted = Object.entries(config.listeners).filter(
      ([, { kind, enabled }]) => enabled && listenerKinds[kind].owner === 'management',
    );
    if (wanted.length === 0) return;
    const token = config.admin.localAccess ? newAdminToken(random) : undefined;
    const metrics = () => this.#metricSources();
    const status = () => gatherStatus(this.#rooms, this.#listeners, this.#open);
    const server = createAdminServer({
      clock,
      log,
      security,
      metrics,
      status,
      notReady: () => notReady(this.#rooms),
      traces,
      ...this.#messages(),
      token,
      tokenOwner: (text) => tokenOwner(text, { registry: this.#rooms.lookUps, clock }),
      api: async (options) => {
        const { createApi } = await import('../admin/api/api.ts');
        return createApi(
          apiServicesOf(this.#rooms, () => this.#config, status),
          options,
        );
      },
    });
    this.#server = server;
    try {
      for (const [name, settings] of wanted) {
        const { kind, host, port } = settings;
        const bound = await server.listen({ name, host, port, ...(kind === 'https' ? { tls: this.#tls(name, settings) } : {}) });
        this.#open.push({ name, kind, host, port: bound });
      }
      await this.#publish(token);
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  /** With --dev the messaging API is here, too: one address for everything that a page in the making needs. */
  #messages(): Pick<Parameters<typeof createAdminServer>[0], 'messages'> {
    const { config, dev, loop, protocols } = this.#rooms;
    const requests = protocols.get('http')?.requests;
    if (!dev || requests === undefined) return {};
    const door = new HttpDoor(requests, loop, new NetCounters('admin'), config.net.closeTimeoutMs);
    this.#door = door;
    return {
      messages(request, response, listener, secure) {
        const { remoteAddress = '', remotePort = 0 } = request.socket;
        const facts = { listener, remoteAddress: plainAddress(remoteAddress), remotePort, secure, peerCertificate: undefined };
        door.serve(request, response, facts);
      },
    };
  }

  async stop(): Promise<void> {
    this.#door?.shutDown();
    await withdrawLocalAccess(resolve(this.#rooms.config.node.dataDir));
    await this.#server?.close();
  }

  reload(config: Config): void {
    this.#config = config;
    this.refreshTls();
  }

  /** Later handshakes use the certificate that the keystore holds now. */
  refreshTls(): void {
    for (const { name, kind } of this.#open) {
      if (kind === 'https') this.#server?.useTls(name, this.#tls(name, this.#config.listeners[name]!));
    }
  }

  #tls(name: string, listener: ListenerConfig): AdminTls {
    const { material } = this.#rooms.keystore;
    const { certificate, privateKey } = material.servers[0]!;
    const { minVersion, clientCertificate } = this.#config.tls;
    const wanted = listener.clientCertificate ?? clientCertificate;
    const guard = this.#rooms.revocation?.admission;
    const { first: parameters, contextFor } = serverContexts(tlsSettings(this.#config, listener, material, this.#rooms.security), name);
    const common = { certificate, privateKey, minVersion, parameters, contextFor };
    const failed: AdminTls['failed'] = (error, socket) => {
      const from = { listener: name, remoteAddress: plainAddress(socket.remoteAddress ?? '') };
      const kind = failureOf(error, socket);
      if (kind === 'certificate') guard?.refused(faultOf(socket, error), undefined, from);
      else if (kind === 'parameters') guard?.unagreed(from);
    };
    if (wanted === 'none') return { ...common, failed };
    const clientCertificates = {
      isRequired: wanted === 'require',
      authorities: [material.clientAuthorities],
      describe: describeCertificate,
      faultOf,
      ...(guard && { guard }),
    };
    return { ...common, failed, clientCertificates };
  }

  async #publish(token: string | undefined): Promise<void> {
    const nearest = this.#open.find(({ host }) => isLoopback(host) || host === '::' || host === '0.0.0.0');
    if (token === undefined || nearest === undefined) return;
    const host = isLoopback(nearest.host) ? nearest.host : 'localhost';
    const url = `${nearest.kind}://${hostAndPort(host, nearest.port)}`;
    const directory = resolve(this.#rooms.config.node.dataDir);
    try {
      await publishLocalAccess(directory, { token, url });
    } catch (error) {
      // A full disk. Messages do not wait for a convenience; what an earlier start left would only mislead.
      await withdrawLocalAccess(directory).catch(() => {});
      this.#rooms.log.warn('commands on this machine will need a password: the token could not be written', {
        directory,
        error: (error as Error).message,
      });
    }
  }

  #metricSources() {
    const { broker, journals, loop, protocols, security, pki, keystore, registryMetrics } = this.#rooms;
    const registry = registryMetrics === undefined ? [] : [registryMetrics];
    return [
      ...this.#rooms.auditMetrics,
      this.#rooms.enrolment,
      this.#rooms.est,
      ...(this.#rooms.liveCut === undefined ? [] : [this.#rooms.liveCut]),
      new BrokerMetrics(broker),
      ...journals,
      loop,
      ...protocols.values(),
      security,
      this.#rooms.oscore,
      pki,
      keystore,
      ...registry,
      ...this.#listeners.all,
      ...(this.#rooms.revocation?.metrics ?? []),
      ...(this.#rooms.expiry === undefined ? [] : [this.#rooms.expiry]),
      ...(this.#rooms.publicPki === undefined ? [] : [this.#rooms.publicPki]),
    ];
  }
}

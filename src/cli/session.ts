// heliograph session list|show|end and heliograph connection list|end: who is there, and what waits for whom.

import { Command } from 'commander';
import { withManagement, type Managed } from './principal-command.ts';

type Session = {
  readonly clientId: string;
  readonly principal: string;
  readonly protocol: string;
  readonly connected: boolean;
  readonly durable: boolean;
  readonly remoteAddress?: string;
  readonly listener?: string;
  readonly connectedAtMs?: number;
  readonly disconnectedAtMs?: number;
  readonly expiryMs?: number;
  readonly subscriptions: number;
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  readonly unsettled: number;
};
type WithFilters = Session & { readonly filters: readonly { readonly filter: string; readonly guarantee: number }[] };

type OfTenant = Managed & { readonly tenant: string };
type List = OfTenant & { readonly prefix?: string; readonly principal?: string; readonly connected?: boolean; readonly limit: string };

export function sessionCommand(): Command {
  const command = new Command('session').alias('sessions').description('look at sessions, and end them');
  withList(withManagement(command.command('list').description('show sessions, in the order of their client ids')))
    .option('--connected', 'only those that are connected')
    .action((options: List) => list('/sessions', options));
  withClient(command.command('show').description('show a session with its subscriptions')).action(show);
  withClient(command.command('end').description('end a session: what waits for it is lost, and counted')).action(end);
  return command;
}

export function connectionCommand(): Command {
  const command = new Command('connection').alias('connections').description('look at connections, and end them');
  withList(withManagement(command.command('list').description('show who is connected'))).action((options: List) =>
    list('/connections', options),
  );
  withClient(command.command('end').description('end a connection; a durable session stays')).action(disconnect);
  return command;
}

function withList(command: Command): Command {
  return command
    .option('-t, --tenant <tenant>', 'of which tenant', 'main')
    .option('-p, --prefix <text>', 'client ids that begin with this')
    .option('--principal <id>', 'only those of this principal')
    .option('-n, --limit <count>', 'how many at most', '1000');
}

function withClient(command: Command): Command {
  return withManagement(command).argument('<client-id>').option('-t, --tenant <tenant>', 'of which tenant', 'main');
}

function loaded() {
  return Promise.all([import('./api-client.ts'), import('./answer-text.ts'), import('./given.ts')]);
}

async function list(path: string, options: List): Promise<void> {
  const [{ withApi }, { tellTable }, { countOf }] = await loaded();
  const { tenant, prefix, principal, connected } = options;
  const wanted = countOf(options.limit, 'sessions');
  await withApi(options, async (api) => {
    const found = await api.all<Session>(path, { tenant, prefix, principal, connected }, wanted);
    tellTable(options, found, [
      ['client', ({ clientId }) => clientId],
      ['principal', (each) => each.principal],
      ['protocol', ({ protocol }) => protocol],
      ['from', ({ connected: isThere, remoteAddress, listener }) => (isThere ? `${remoteAddress ?? ''} ${listener ?? ''}`.trim() : '-')],
      ['subscriptions', ({ subscriptions }) => String(subscriptions)],
      ['waiting', ({ queuedMessages }) => String(queuedMessages)],
    ]);
  });
}

async function show(clientId: string, options: OfTenant): Promise<void> {
  const [{ withApi }, { tellFacts, moment }] = await loaded();
  await withApi(options, async (api) => {
    const { body } = await api.request<WithFilters>('GET', `/sessions/${encodeURIComponent(clientId)}`, {
      query: { tenant: options.tenant },
    });
    const { remoteAddress, listener, expiryMs } = body;
    tellFacts(options, body, [
      ['client', body.clientId],
      ['principal', body.principal],
      ['protocol', body.protocol],
      ['connected', body.connected ? `since ${moment(body.connectedAtMs)}, from ${remoteAddress} at ${listener}` : 'no'],
      ['disconnected', moment(body.disconnectedAtMs)],
      ['kept', expiryMs === undefined ? 'for ever' : `${Math.round(expiryMs / 1000)} s after its connection`],
      ['waiting', `${body.queuedMessages} messages, ${body.queuedBytes} bytes`],
      ['unsettled', String(body.unsettled)],
      ...body.filters.map(({ filter, guarantee }) => ['subscribed', `${filter} (QoS ${guarantee})`] as const),
    ]);
  });
}

async function end(clientId: string, options: OfTenant): Promise<void> {
  const [{ withApi }, { tell }] = await loaded();
  await withApi(options, async (api) => {
    const path = `/sessions/${encodeURIComponent(clientId)}`;
    const answer = await api.request<{ readonly messages: number }>('DELETE', path, { query: { tenant: options.tenant } });
    tell(options, answer, `Ended the session of ${clientId}; ${answer.body.messages} messages waited for it`);
  });
}

async function disconnect(clientId: string, options: OfTenant): Promise<void> {
  const [{ withApi }, { tell }] = await loaded();
  await withApi(options, async (api) => {
    const { status } = await api.request('DELETE', `/connections/${encodeURIComponent(clientId)}`, { query: { tenant: options.tenant } });
    tell(options, { status, body: { tenant: options.tenant, clientId } }, `Ended the connection of ${clientId}`);
  });
}

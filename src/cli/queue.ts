// heliograph queue list|browse|purge|move and heliograph retained list|clear: messages that the broker keeps.

import { Command } from 'commander';
import { withManagement, type Managed } from './principal-command.ts';

type Queue = {
  readonly name: string;
  readonly kind: string;
  readonly durable: boolean;
  readonly messages: number;
  readonly bytes: number;
  readonly consumers: number;
  readonly unsettled: number;
};
type Kept = {
  readonly topic: string;
  readonly payload: string;
  readonly payloadBytes: number;
  readonly sender: string;
  readonly acceptedAtMs: number;
};

type OfTenant = Managed & { readonly tenant: string };
type List = OfTenant & { readonly prefix?: string; readonly limit: string };
type Retained = OfTenant & { readonly filter: string; readonly limit: string };
type Move = OfTenant & { readonly max: string };

/** Messages that the API gives at a time. */
const messagesOfPage = 100;

export function queueCommand(): Command {
  const command = new Command('queue').alias('queues').description('look into queues, empty them, move what waits');
  withTenant(withManagement(command.command('list').description('show queues, in the order of their names')))
    .option('-p, --prefix <text>', 'names that begin with this, such as \\$queue/')
    .option('-n, --limit <count>', 'how many at most', '1000')
    .action(list);
  withName(command.command('browse').description('show what waits in a queue, oldest first; it stays there'))
    .option('-n, --limit <count>', 'how many at most', '20')
    .action(browse);
  withName(command.command('purge').description('drop what waits in a queue; what is with a consumer stays')).action(purge);
  withName(command.command('move').description('put what waits in a queue, oldest first, into another'))
    .argument('<to>', 'name of the other queue')
    .option('--max <count>', 'how many at most', '10000')
    .action(move);
  return command;
}

export function retainedCommand(): Command {
  const command = new Command('retained').description('look at retained messages, and drop them');
  withTenant(withManagement(command.command('list').description('show retained messages, in the order of their topics')))
    .option('-f, --filter <filter>', 'of topics that match this', '#')
    .option('-n, --limit <count>', 'how many at most', '100')
    .action(listRetained);
  withTenant(withManagement(command.command('clear').description('drop the retained message of a topic')))
    .argument('<topic>')
    .action(clear);
  return command;
}

function withTenant(command: Command): Command {
  return command.option('-t, --tenant <tenant>', 'of which tenant', 'main');
}

function withName(command: Command): Command {
  return withTenant(withManagement(command).argument('<name>', '$queue/NAME, $share/GROUP/FILTER, or inbox/CLIENT'));
}

function loaded() {
  return Promise.all([import('./api-client.ts'), import('./answer-text.ts'), import('./given.ts')]);
}

function pathOf(name: string, rest: string): string {
  return `/queues/${encodeURIComponent(name)}/${rest}`;
}

async function list(options: List): Promise<void> {
  const [{ withApi }, { tellTable }, { countOf }] = await loaded();
  const { tenant, prefix } = options;
  const wanted = countOf(options.limit, 'queues');
  await withApi(options, async (api) => {
    tellTable(options, await api.all<Queue>('/queues', { tenant, prefix }, wanted), [
      ['queue', ({ name }) => name],
      ['messages', ({ messages }) => String(messages)],
      ['bytes', ({ bytes }) => String(bytes)],
      ['consumers', ({ consumers }) => String(consumers)],
      ['unsettled', ({ unsettled }) => String(unsettled)],
      ['', ({ durable }) => (durable ? 'durable' : '')],
    ]);
  });
}

async function tellMessages(options: Managed, path: string, query: Readonly<Record<string, string>>, limit: string): Promise<void> {
  const [{ withApi }, { tellTable, moment }, { countOf }] = await loaded();
  const wanted = countOf(limit, 'messages');
  await withApi(options, async (api) => {
    const found = await api.all<Kept>(path, query, wanted, messagesOfPage);
    tellTable(options, found, [
      ['accepted', ({ acceptedAtMs }) => moment(acceptedAtMs)],
      ['from', ({ sender }) => sender],
      ['topic', ({ topic }) => topic],
      ['bytes', ({ payloadBytes }) => String(payloadBytes)],
      ['payload', ({ payload }) => shownPayload(payload)],
    ]);
  });
}

const shownLength = 60;

/** Text where it is text; else hexadecimal. */
function shownPayload(base64: string): string {
  const bytes = Buffer.from(base64, 'base64');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text)) text = JSON.stringify(text);
  } catch {
    text = bytes.toString('hex');
  }
  return text.length <= shownLength ? text : `${text.slice(0, shownLength)}…`;
}

function browse(name: string, options: List): Promise<void> {
  return tellMessages(options, pathOf(name, 'messages'), { tenant: options.tenant }, options.limit);
}

async function purge(name: string, options: OfTenant): Promise<void> {
  const [{ withApi }, { tell }] = await loaded();
  await withApi(options, async (api) => {
    const answer = await api.request<{ readonly messages: number }>('POST', pathOf(name, 'purge'), { query: { tenant: options.tenant } });
    tell(options, answer, `Dropped ${answer.body.messages} messages of ${name}`);
  });
}

async function move(name: string, to: string, options: Move): Promise<void> {
  const [{ withApi }, { tell }, { countOf }] = await loaded();
  const body = { to, maxMessages: countOf(options.max, 'messages') };
  await withApi(options, async (api) => {
    const answer = await api.request<{ readonly messages: number }>('POST', pathOf(name, 'move'), {
      query: { tenant: options.tenant },
      body,
    });
    tell(options, answer, `Moved ${answer.body.messages} messages from ${name} to ${to}`);
  });
}

function listRetained(options: Retained): Promise<void> {
  return tellMessages(options, '/retained', { tenant: options.tenant, filter: options.filter }, options.limit);
}

async function clear(topic: string, options: OfTenant): Promise<void> {
  const [{ withApi }, { tell }] = await loaded();
  await withApi(options, async (api) => {
    const { status } = await api.request('DELETE', '/retained', { query: { tenant: options.tenant, topic } });
    tell(options, { status, body: { tenant: options.tenant, topic } }, `Dropped the retained message of ${topic}`);
  });
}

// A node's status for people. Names that peers chose are shown as JSON strings where they could move the cursor.

import { droppedOf, imbalanceOf } from '../admin/status.ts';
import type { Status } from '../admin/status.ts';

export function statusText(status: Status): string {
  const { name, version, state, notReady, durability, sessions, ledger } = status;
  const blocks = [
    rows([
      ['node', `${name}, Heliograph ${version}`],
      ['state', notReady.length === 0 ? state : `${state}: ${notReady.join('; ')}`],
      ['up for', durationText(status.uptimeSeconds)],
      ['acknowledged is', durability],
      ['connections', count(status.connections)],
      ['sessions', `${count(sessions.total)}, ${count(sessions.connected)} connected`],
      ['subscriptions', count(status.subscriptions)],
      ['retained', count(status.retained)],
    ]),
    table(
      ['listener', 'kind', 'address', 'connections', 'accepted', 'refused'],
      status.listeners.map(({ name: listener, kind, host, port, connections, accepted, refused }) => [
        listener,
        kind,
        `${host.includes(':') ? `[${host}]` : host}:${port}`,
        ...[connections, accepted, refused].map((value) => (value === undefined ? '' : count(value))),
      ]),
    ),
    table(
      ['TLS on', 'version', 'key exchange', 'cipher', 'handshakes'],
      status.listeners.flatMap(({ name: listener, handshakes = [] }) =>
        handshakes.map(({ version: tls, group, cipher, count: done }) => [listener, tls, group, cipher, count(done)]),
      ),
    ),
    ledgerText(ledger),
    table(
      ['journal shard', 'rows', 'live', 'on disk', 'commits', 'mean commit', ''],
      status.journal.map(({ shard, rows: stored, bytes, storedBytes, commits, commitMs, stalled }) => [
        String(shard),
        count(stored),
        bytesText(bytes),
        bytesText(storedBytes),
        count(commits),
        commits === 0 ? '' : `${(commitMs / commits).toFixed(2)} ms`,
        stalled === undefined ? '' : `waits: ${stalled}`,
      ]),
    ),
    table(
      ['tenant', 'sessions', 'connected', 'subscriptions', 'retained', 'queued'],
      status.tenants.map(({ tenant, ...counts }) => [
        safe(tenant),
        ...[counts.sessions, counts.connected, counts.subscriptions, counts.retained, counts.queued].map(count),
      ]),
    ),
    table(
      ['certificate', 'expires'],
      status.certificates.map(({ name: certificate, notAfterMs }) => [certificate, new Date(notAfterMs).toISOString().slice(0, 10)]),
    ),
  ];
  return `${blocks.filter((block) => block !== '').join('\n\n')}\n`;
}

/** accepted + recovered = delivered + queued + expired + dropped, and whether it is so. */
function ledgerText(ledger: Status['ledger']): string {
  const dropped = Object.entries(ledger.dropped).filter(([, number]) => number > 0);
  const imbalance = imbalanceOf(ledger);
  const lines = rows([
    ['accepted', count(ledger.accepted)],
    ['recovered', count(ledger.recovered)],
    ['delivered', count(ledger.delivered)],
    ['queued', count(ledger.queued)],
    ['expired', count(ledger.expired)],
    ['dropped', count(droppedOf(ledger))],
    ...dropped.map(([reason, number]): [string, string] => [`  ${reason}`, count(number)]),
  ]);
  const verdict =
    imbalance === 0
      ? 'The books add up: accepted + recovered = delivered + queued + expired + dropped.'
      : `THE BOOKS DO NOT ADD UP: they differ by ${count(imbalance)}. Please report this.`;
  return `messages, once per queue\n${lines}\n${verdict}`;
}

function rows(entries: readonly (readonly [string, string])[]): string {
  const width = Math.max(...entries.map(([label]) => label.length));
  return entries.map(([label, value]) => `${label.padEnd(width)}  ${value}`).join('\n');
}

/** Empty when there are no lines. The first column is text, the others end flush. */
function table(head: readonly string[], lines: readonly (readonly string[])[]): string {
  if (lines.length === 0) return '';
  const all = [head, ...lines];
  const widths = head.map((_, i) => Math.max(...all.map((line) => line[i]?.length ?? 0)));
  const isText = head.map((_, i) => lines.every((line) => !/^[\d ]+(\.\d+)?( [kMGT]?B| ms)?$/.test(line[i] ?? '') && line[i] !== ''));
  return all
    .map((line) => line.map((cell, i) => (i === 0 || isText[i] === true ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '))
    .map((line) => line.trimEnd())
    .join('\n');
}

/** 1234567 as `1 234 567`. */
function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ' ');
}

function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]!}`;
}

function durationText(seconds: number): string {
  const whole = Math.floor(seconds);
  const [days, hours, minutes] = [Math.floor(whole / 86_400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

function safe(text: string): string {
  return /^[\x20-\x7e]*$/.test(text)
    ? text
    : JSON.stringify(text).replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { UserError } from '../base/user-error.ts';
import type { Config } from '../config.ts';
import { openAuditLog } from '../security/audit/audit-log.ts';
import { SyslogSender } from '../security/audit/syslog-sender.ts';
import type { Part } from './part.ts';
import { auditPath } from './paths.ts';
import type { Rooms } from './rooms.ts';
import { packageVersion } from './version.ts';

/** The audit log. Opened before everything that has something to tell, and closed after it. */
export function auditPart(rooms: Rooms): Part {
  let syslog: SyslogSender | undefined;
  return {
    name: 'audit log',
    async start() {
      const { config, log, clock } = rooms;
      const { syslog: target, retentionSec, ...options } = config.audit;
      const directory = auditPath(config.node.dataDir);
      const audit = await openAuditLog({ ...options, directory, retentionMs: retentionSec * 1000 }, { clock, log });
      rooms.audit = audit;
      rooms.auditMetrics = [audit];
      if (target.transport !== 'none') {
        const ca = target.caFile === undefined ? undefined : await authorities(target.caFile);
        const sender = new SyslogSender({ ...target, transport: target.transport, ca, hostname: hostname() }, log);
        audit.subscribe((entry) => sender.send(entry));
        rooms.auditMetrics.push(sender);
        syslog = sender;
      }
      audit.record({ ...fromNode, action: 'node.start', details: { version: packageVersion(), name: config.node.name } });
    },
    async stop(deadlineMs) {
      rooms.audit.record({ ...fromNode, action: 'node.stop' });
      await rooms.audit.close();
      await syslog?.close(deadlineMs);
    },
    reload(config: Config) {
      rooms.audit.record({ ...fromNode, action: 'configuration.reload', details: { name: config.node.name } });
    },
  };
}

const fromNode = { actor: { kind: 'node' }, target: '', from: '', outcome: 'done' } as const;

async function authorities(file: string): Promise<string> {
  try {
    return await readFile(resolve(file), 'utf8');
  } catch (error) {
    throw new UserError(`The authorities of the syslog server cannot be read: ${(error as Error).message}`, {
      where: file,
      fix: 'check audit.syslog.caFile, and that this user may read the file',
      cause: error,
    });
  }
}

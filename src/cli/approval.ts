// heliograph approval list|show|approve|refuse: changes that wait for a second person.

import { Command } from 'commander';
import { withManagement, type Managed } from './principal-command.ts';

type Approval = {
  readonly id: string;
  readonly status: string;
  readonly requestedBy: string;
  readonly decidedBy?: string;
  readonly summary: string;
  readonly request: unknown;
  readonly createdMs: number;
  readonly expiresAtMs: number;
};
type Carried = { readonly approval: Approval; readonly answer: { readonly status: number; readonly body?: { readonly detail?: string } } };

export function approvalCommand(): Command {
  const command = new Command('approval')
    .alias('approvals')
    .description('changes that wait for a second person (admin.separationOfDuties)');
  withManagement(command.command('list').description('show what waits')).option('--all', 'also what is decided').action(list);
  withManagement(command.command('show').description('show one, with what will be carried out')).argument('<id>').action(show);
  withManagement(command.command('approve').description('agree to a change of somebody else: it is carried out as it stands'))
    .argument('<id>')
    .action(approve);
  withManagement(command.command('refuse').description('refuse a change, or take back your own')).argument('<id>').action(refuse);
  return command;
}

function loaded() {
  return Promise.all([import('./api-client.ts'), import('./answer-text.ts')]);
}

async function list(options: Managed & { readonly all?: boolean }): Promise<void> {
  const [{ withApi }, { tellTable, moment }] = await loaded();
  const status = options.all === true ? undefined : 'pending';
  await withApi(options, async (api) => {
    tellTable(options, await api.all<Approval>('/approvals', { status }), [
      ['approval', ({ id }) => id],
      ['status', (each) => each.status],
      ['asked by', ({ requestedBy }) => requestedBy],
      ['until', ({ expiresAtMs }) => moment(expiresAtMs)],
      ['what', ({ summary }) => summary],
    ]);
  });
}

async function show(id: string, options: Managed): Promise<void> {
  const [{ withApi }, { tellFacts, moment }] = await loaded();
  await withApi(options, async (api) => {
    const { body } = await api.request<Approval>('GET', `/approvals/${encodeURIComponent(id)}`);
    tellFacts(options, body, [
      ['approval', body.id],
      ['what', body.summary],
      ['status', body.status],
      ['asked by', body.requestedBy],
      ['asked', moment(body.createdMs)],
      ['until', moment(body.expiresAtMs)],
      ['decided by', body.decidedBy ?? ''],
      ['request', JSON.stringify(body.request)],
    ]);
  });
}

async function approve(id: string, options: Managed): Promise<void> {
  const [{ withApi }, { tell }] = await loaded();
  const { UserError } = await import('../base/user-error.ts');
  await withApi(options, async (api) => {
    const answer = await api.request<Carried>('POST', `/approvals/${encodeURIComponent(id)}/approve`);
    const { approval, answer: carried } = answer.body;
    if (carried.status >= 400) {
      throw new UserError(`It was approved, but could not be carried out: ${carried.body?.detail ?? carried.status}`, {
        fix: 'see what has changed since it was asked for, and ask again',
      });
    }
    tell(options, answer, `Carried out: ${approval.summary}`);
  });
}

async function refuse(id: string, options: Managed): Promise<void> {
  const [{ withApi }, { tell }] = await loaded();
  await withApi(options, async (api) => {
    const answer = await api.request<Approval>('POST', `/approvals/${encodeURIComponent(id)}/refuse`);
    tell(options, answer, `Refused: ${answer.body.summary}`);
  });
}

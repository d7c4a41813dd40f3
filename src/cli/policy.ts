// heliograph policy check|add|change|list|show|remove|test: what principals may do, and why.

import { Command, Option } from 'commander';
import { methods } from '../security/security.ts';
import { withManagement, type Managed } from './principal-command.ts';

type Policy = {
  readonly tenant: string;
  readonly id: string;
  readonly document: { readonly title?: string; readonly statements: readonly unknown[] };
};

type Question = Managed & {
  readonly principal: string;
  readonly action: string;
  readonly topic: string;
  readonly kind?: string;
  readonly role?: string[];
  readonly group?: string[];
  readonly label?: string[];
  readonly listener?: string;
  readonly address?: string;
  readonly method?: string;
  readonly qos?: string;
  readonly size?: string;
  readonly expect?: string;
};

const actions = ['connect', 'publish', 'subscribe', 'consume', 'retain', 'manage'];

export function policyCommand(): Command {
  const command = new Command('policy').alias('policies').description('check, add, list and try policies: what principals may do');
  command.command('check').description('say what is wrong with policies in files').argument('<file...>', 'JSON or YAML').action(check);
  const name = ['<name>', 'name, or tenant/name'] as const;
  const file = ['<file>', 'JSON or YAML'] as const;
  withManagement(command.command('add').description('add a policy; a role that names it grants it'))
    .argument(...name)
    .argument(...file)
    .action(add);
  withManagement(
    command.command('change').description('put another document in place of a policy; it holds at once, also for who is connected'),
  )
    .argument(...name)
    .argument(...file)
    .action(change);
  withManagement(command.command('list').description('show the policies'))
    .option('-t, --tenant <tenant>', 'whose policies', 'main')
    .action(list);
  withManagement(command.command('show').description('show a policy as JSON'))
    .argument(...name)
    .action(show);
  withManagement(command.command('remove').description('remove a policy that no role names'))
    .argument(...name)
    .action(remove);
  testCommand(command);
  return command;
}

function testCommand(command: Command): void {
  withManagement(command.command('test').description('say whether a principal may do something, and which statement decides'))
    .requiredOption('-P, --principal <id>', 'id, or tenant/id')
    .addOption(new Option('-a, --action <action>', 'what it wants to do').choices(actions).makeOptionMandatory())
    .requiredOption('-t, --topic <topic>', 'topic or filter; for connect the client id, for manage the resource')
    .addOption(
      new Option('--kind <kind>', 'which of them, or of what kind it is supposed to be').choices(['device', 'application', 'user']),
    )
    .option('--role <role...>', 'suppose a principal with these roles, which need not exist')
    .option('--group <group...>', 'suppose a principal with these groups')
    .option('--label <key=value...>', 'suppose a principal with these labels')
    .option('-l, --listener <name>', 'the listener it comes by')
    .option('--address <address>', 'the address it comes from')
    .addOption(new Option('--method <method>', 'by what it has proved itself').choices(methods))
    .addOption(new Option('-q, --qos <qos>', 'QoS of the message').choices(['0', '1', '2']))
    .option('-s, --size <bytes>', 'bytes of its payload')
    .addOption(new Option('--expect <answer>', 'end with exit code 1 if the answer is another one').choices(['allow', 'deny']))
    .action(test);
}

function loaded() {
  return Promise.all([import('./api-client.ts'), import('./answer-text.ts'), import('./given.ts')]);
}

async function check(files: readonly string[]): Promise<void> {
  const [{ readPolicyFile, faultLines }, { UserError }] = await Promise.all([
    import('../config/policy-files.ts'),
    import('../base/user-error.ts'),
  ]);
  const faults: string[] = [];
  for (const file of files) {
    const reading = readPolicyFile(file);
    if (!reading.ok) faults.push(faultLines(file, reading));
    else process.stdout.write(`${file}: good, ${counted(reading.document.statements.length)}\n`);
  }
  if (faults.length > 0) throw new UserError(faults.join('\n'));
}

function counted(statements: number): string {
  return statements === 1 ? '1 statement' : `${statements} statements`;
}

/** What the file holds, checked. @throws UserError with every fault */
async function documentOf(file: string): Promise<unknown> {
  const { readPolicyFiles } = await import('../config/policy-files.ts');
  return readPolicyFiles([file])[0]!.document;
}

async function add(given: string, file: string, options: Managed): Promise<void> {
  const [{ withApi }, { tell }, { accountOf }] = await loaded();
  const { tenant, name } = accountOf(given, 'policy');
  const body = { id: name, document: await documentOf(file) };
  await withApi(options, async (api) =>
    tell(options, await api.request('POST', '/policies', { query: { tenant }, body }), `Added the policy ${tenant}/${name}`),
  );
}

async function change(given: string, file: string, options: Managed): Promise<void> {
  const [{ withApi }, { tell }, { accountOf }] = await loaded();
  const { tenant, name } = accountOf(given, 'policy');
  const body = { document: await documentOf(file) };
  await withApi(options, async (api) =>
    tell(options, await api.request('PATCH', pathOf(name), { query: { tenant }, body }), `Changed the policy ${tenant}/${name}`),
  );
}

async function list(options: Managed & { readonly tenant: string }): Promise<void> {
  const [{ withApi }, { tellTable }] = await loaded();
  await withApi(options, async (api) => {
    tellTable(options, await api.all<Policy>('/policies', { tenant: options.tenant }), [
      ['policy', ({ id }) => id],
      ['statements', ({ document }) => String(document.statements?.length ?? '-')],
      ['title', ({ document }) => document.title ?? ''],
    ]);
  });
}

async function show(given: string, options: Managed): Promise<void> {
  const [{ withApi }, , { accountOf }] = await loaded();
  const { tenant, name } = accountOf(given, 'policy');
  await withApi(options, async (api) => {
    const { body } = await api.request<Policy>('GET', pathOf(name), { query: { tenant } });
    process.stdout.write(`${JSON.stringify(options.json === true ? body : body.document, undefined, 2)}\n`);
  });
}

async function remove(given: string, options: Managed): Promise<void> {
  const [{ withApi }, { tell }, { accountOf }] = await loaded();
  const { tenant, name } = accountOf(given, 'policy');
  await withApi(options, async (api) => {
    const { status, body } = await api.request('DELETE', pathOf(name), { query: { tenant } });
    tell(options, { status, body: body ?? { tenant, id: name } }, `Removed the policy ${tenant}/${name}`);
  });
}

async function test(options: Question): Promise<void> {
  const [{ withApi }, , given] = await loaded();
  const [{ explanationText }, { UserError }] = await Promise.all([import('./explanation-text.ts'), import('../base/user-error.ts')]);
  const { tenant, name } = given.accountOf(options.principal, 'principal');
  const { kind, role, group, label, listener, address, method, action, topic } = options;
  const supposed = { ...(role && { roles: role }), ...(group && { groups: group }), ...(label && { labels: given.labelsOf(label) }) };
  const access = { ...(listener && { listener }), ...(address && { remoteAddress: address }), ...(method && { method }) };
  const isSupposed = Object.keys(supposed).length > 0;
  const body = {
    principal: { id: name, ...(kind && { kind }), ...(isSupposed && { supposed }) },
    action,
    topic,
    ...(Object.keys(access).length > 0 && { access }),
    ...messageOf(options, given.countOf),
  };
  await withApi(options, async (api) => {
    const { body: found } = await api.request<Parameters<typeof explanationText>[0]>('POST', '/policies:test', { query: { tenant }, body });
    const question = `${action} ${topic} by ${tenant}/${name}`;
    process.stdout.write(options.json === true ? `${JSON.stringify(found, undefined, 2)}\n` : explanationText(found, question));
    const answer = found.isAllowed ? 'allow' : 'deny';
    if (options.expect !== undefined && options.expect !== answer) {
      throw new UserError(`The answer is ${answer}, but ${options.expect} was expected: ${question}.`);
    }
  });
}

function messageOf({ qos, size }: Question, countOf: (given: string, what: string) => number): object {
  if (qos === undefined && size === undefined) return {};
  const payloadBytes = size === undefined || size === '0' ? 0 : countOf(size, 'bytes');
  return { message: { guarantee: Number(qos ?? 0), payloadBytes } };
}

function pathOf(name: string): string {
  return `/policies/${encodeURIComponent(name)}`;
}

import { defaultAuthorizationLimits } from '../../security/policy/authorization.ts';
import { actions } from '../../security/policy/policy-document.ts';
import { defaultRules } from '../../security/policy/rules.ts';
import { loginAuditLevels } from '../../security/authentication/login-audit.ts';
import { defaultAuthentication, defaultCertificatePolicy, defaultSecurityLimits } from '../../security/create-security.ts';
import { defaultContextsSettings } from '../../security/oscore/contexts.ts';
import { methods } from '../../security/security.ts';
import { certificateRules } from '../../security/peer-certificate.ts';
import { defaultTenant } from '../../message/names.ts';
import { jwtSection } from './jwt.ts';
import { webhookSection } from './webhook.ts';
import { choice, count, flag, list, milliseconds, optional, section, text } from '../fields.ts';

const name = (description: string) => text({ maxLength: 128, live: true }, description);
const names = (max: number, description: string, byDefault: readonly string[] = []) =>
  list(name('A name.'), { max, live: true, default: [...byDefault] }, description);

const user = section(
  {
    name: name('Unique within the tenant.'),
    tenant: optional(text({ maxLength: 128, example: defaultTenant }, `Tenant; "${defaultTenant}" when absent.`)),
    roles: optional(names(100, 'Roles, which rules refer to.')),
    passwordHash: text(
      { maxLength: 1024, example: '$argon2id$v=19$…' },
      'As "heliograph user hash" prints it. A plain password has no place here.',
    ),
  },
  'A user.',
);

const rule = section(
  {
    allow: optional(list(choice([...actions], {}, 'An action.'), { max: 10 }, `What is allowed: ${actions.join(', ')}.`)),
    deny: optional(list(choice([...actions], {}, 'An action.'), { max: 10 }, 'What is denied; this wins over every rule that allows.')),
    topics: optional(
      list(
        text({ maxLength: 65_535 }, 'A pattern.'),
        { max: 10_000 },
        'Patterns in the grammar of MQTT filters; ${id}, ${tenant}, ${group} and ${label:name} stand for what is known of the peer. Needed but for connect and manage.',
      ),
    ),
    users: optional(names(10_000, 'Names it binds. With neither users nor roles it binds everybody.')),
    roles: optional(names(100, 'Roles it binds.')),
    tenants: optional(names(10_000, 'Tenants it binds. All when absent.')),
  },
  'A rule. Exactly one of allow and deny.',
);

const limits = defaultSecurityLimits;
const policies = defaultAuthorizationLimits;
const contexts = defaultContextsSettings;

export const securitySection = section(
  {
    users: list(
      user,
      { max: 100_000, live: true },
      'Users besides those of the registry ("heliograph user add"); of two with one name, the one here counts.',
    ),
    rules: list(
      rule,
      { max: 10_000, live: true, default: defaultRules.map((each) => ({ ...each })) },
      'Who may do what. What no rule allows is denied. The role admin may do everything. By default a device has its own branch dev/${id}/# and an application every topic.',
    ),
    policyFiles: list(
      text({ maxLength: 4096, example: '/etc/heliograph/policies/plant.yaml' }, 'A file, JSON or YAML.'),
      { max: 1000, live: true },
      'Policies as files, beside those of the registry and the rules above. They bind whom their statements name, in every tenant. Read again on SIGHUP.',
    ),
    policyLimits: section(
      {
        tenants: count(
          { default: policies.tenants, min: 1, max: 10_000_000 },
          'Tenants whose roles and policies are held ready. Principals of more cannot connect.',
        ),
        entriesPerTenant: count(
          { default: policies.entriesPerTenant, min: 1, max: 100_000 },
          'Roles, and policies, of one tenant. With more its principals cannot connect.',
        ),
        decisions: count(
          { default: policies.decisions, min: 0, max: 10_000_000 },
          'Answers that are remembered, over all principals. About 150 bytes each. 0: none.',
        ),
        combinations: count(
          { default: policies.combinations, min: 1, max: 1_000_000 },
          'Combinations of statements that are kept compiled: principals with the same roles share one.',
        ),
      },
      'What is kept in memory to answer at once what principals may do.',
    ),
    authentication: list(
      choice([...methods], {}, 'A way to prove who one is.'),
      { min: 1, max: methods.length, live: true, default: [...defaultAuthentication] },
      'What peers may prove themselves by, in the order in which it is looked for; the first that proves or refuses decides. Those that are not set up (anonymous, jwt, psk, webhook) take no part. A listener may name fewer.',
    ),
    auditLogins: choice(
      [...loginAuditLevels],
      { default: 'management', live: true },
      'Which successful logins the audit log tells of: none, those of users and of who has a role of management, all. Failures are always told, those of one address in a minute together.',
    ),
    anonymous: section(
      {
        enabled: flag({ default: false, live: true }, 'true: peers without certificate and password may connect, with these roles.'),
        roles: names(100, 'Roles of anonymous peers.'),
        tenant: text({ default: defaultTenant, maxLength: 128, live: true }, 'Tenant of anonymous peers.'),
        listeners: names(100, 'Listeners where anonymous peers may connect. Empty: all.'),
      },
      'Peers that show nothing.',
    ),
    certificates: section(
      {
        rules: list(
          choice([...certificateRules], {}, 'A place.'),
          { max: 3, live: true, default: [...defaultCertificatePolicy.rules] },
          'Where the principal of a certificate is looked for, in this order: its URI heliograph:tenant/name (san), its owner in the registry (fingerprint), its common name (cn).',
        ),
        roles: names(100, 'Roles of peers with a certificate.', defaultCertificatePolicy.roles),
        commonNameTenant: text(
          { default: defaultCertificatePolicy.commonNameTenant, maxLength: 128, live: true },
          'Tenant of principals found by common name.',
        ),
      },
      'Peers with a client certificate.',
    ),
    reviewEveryMs: milliseconds(
      { default: 300_000, min: 0, max: 86_400_000, live: true },
      'Changes hold for connected sessions at once. Besides, all of them are looked at this often, in case a change went unnoticed. 0: never.',
    ),
    jwt: jwtSection,
    webhook: webhookSection,
    oscore: section(
      {
        maxContexts: count(
          { default: contexts.maxContexts, min: 1, max: 1_000_000 },
          'OSCORE contexts that are kept ready. Others are read from the registry when they are used. About 2 KB each.',
        ),
        lookUpsPerSecond: count(
          { default: contexts.lookUpsPerSecond, min: 1, max: 1_000_000 },
          'Questions to the registry for contexts that are not in memory. Beyond, requests are refused until later: strangers can ask them.',
        ),
        stretch: count(
          { default: contexts.stretch, min: 16, max: 1_048_576 },
          'Sequence numbers of a context that are written down at a time, before they are used. After a crash the rest of them is skipped.',
        ),
        maxWaiting: count(
          { default: contexts.maxWaiting, min: 1, max: 1_000_000 },
          'Messages of one context that may wait until its numbers are on the disk.',
        ),
        echoMs: milliseconds(
          { default: contexts.echoMs, min: 1000, max: 3_600_000 },
          'How long a device may take to repeat a request with the Echo it was given.',
        ),
      },
      'Security contexts of OSCORE (RFC 8613).',
    ),
    limits: section(
      {
        checksRunning: count(
          { default: limits.checksRunning, min: 1, max: 64 },
          'Password checks that run at a time. Each takes tens of milliseconds and megabytes.',
        ),
        checksWaiting: count({ default: limits.checksWaiting, min: 0, max: 1_000_000 }, 'Password checks that may wait.'),
        checksWaitingPerAddress: count(
          { default: limits.checksWaitingPerAddress, min: 0, max: 1_000_000 },
          'Password checks of one address that may wait.',
        ),
        failuresPerAccount: count(
          { default: limits.failuresPerAccount, min: 1, max: 1_000_000 },
          'Wrong passwords after which an account is banned for a while.',
        ),
        failuresPerAddress: count(
          { default: limits.failuresPerAddress, min: 1, max: 1_000_000 },
          'Wrong passwords after which an address is banned for a while.',
        ),
        forgiveFailureMs: milliseconds(
          { default: limits.forgiveFailureMs, min: 100, max: 86_400_000 },
          'One failure is forgiven after this time.',
        ),
        banMs: milliseconds({ default: limits.banMs, min: 100, max: 86_400_000 }, 'The first ban; each further one is twice as long.'),
        maxBanMs: milliseconds({ default: limits.maxBanMs, min: 100, max: 86_400_000 }, 'The longest ban.'),
        failureEntries: count(
          { default: limits.failureEntries, min: 100, max: 10_000_000 },
          'Accounts, and addresses, whose failures are remembered.',
        ),
        verifiedEntries: count(
          { default: limits.verifiedEntries, min: 0, max: 10_000_000 },
          'Verified passwords that are remembered in memory, so that a fleet can reconnect at once. About 250 bytes each.',
        ),
      },
      'Against guessing of passwords.',
    ),
  },
  'Who peers are and what they may do.',
);

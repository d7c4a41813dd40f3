import { defaultTenant } from '../../message/names.ts';
import { defaultJwtAlgorithms, jwtAlgorithms } from '../../security/authentication/jwt-issuer.ts';
import { defaultKeySetLimits } from '../../security/authentication/key-set-limits.ts';
import { bytes, choice, list, milliseconds, optional, section, text } from '../fields.ts';

const name = (description: string) => text({ maxLength: 128 }, description);
const claim = (description: string) => optional(text({ maxLength: 256, example: 'realm_access.roles' }, description));

const issuer = section(
  {
    name: name('For the log and the metrics; unique.'),
    issuer: text({ maxLength: 2048, example: 'https://login.example.com/realms/plant' }, 'As it stands in the claim iss of its tokens.'),
    audience: list(
      text({ maxLength: 512 }, 'A name.'),
      { min: 1, max: 16, example: ['heliograph'] },
      'One of these must stand in the claim aud: a token for another service is none for this one.',
    ),
    keys: optional(
      choice(
        ['discovery', 'url', 'file'],
        {},
        'Where its public keys are: told by <issuer>/.well-known/openid-configuration (when absent), at keysUrl, in keysFile.',
      ),
    ),
    keysUrl: optional(text({ maxLength: 2048 }, 'Address of its key set (JWKS): https, or http on this machine.')),
    keysFile: optional(text({}, 'A file with its key set (JWKS), read again as often as one is fetched.')),
    algorithms: optional(
      list(
        choice([...jwtAlgorithms], {}, 'An algorithm.'),
        { min: 1, max: jwtAlgorithms.length },
        `How its tokens may be signed; ${defaultJwtAlgorithms.join(', ')} when absent. Neither "none" nor a shared secret is ever taken.`,
      ),
    ),
    clockSkewMs: optional(milliseconds({ min: 0, max: 300_000 }, 'How far its clock may be from ours. 30s when absent.')),
    maxAgeMs: optional(
      milliseconds({ min: 0, max: 366 * 86_400_000 }, 'Tokens that were issued longer ago are refused. 0, or absent: as long as they say.'),
    ),
    kind: optional(choice(['device', 'application', 'user'], {}, 'What its peers are. Absent: what the registry says, else applications.')),
    tenant: optional(name(`Tenant of its peers; "${defaultTenant}" when absent.`)),
    tenants: optional(list(name('A tenant.'), { max: 1000 }, 'Tenants that the claim of claims.tenant may name. Absent: tenant alone.')),
    roles: optional(list(name('A role.'), { max: 64 }, 'Roles that each of its peers has.')),
    grantable: optional(
      list(
        name('A role.'),
        { max: 1000 },
        'Roles that its tokens may grant. Absent: all but those of management (admin, operator, security-officer, viewer).',
      ),
    ),
    claims: optional(
      section(
        {
          id: claim('Claim that names the peer; sub when absent. A name, or a path with dots.'),
          tenant: claim('Claim that names its tenant.'),
          roles: claim('Claim with its roles: a list, or a text with spaces between them.'),
          groups: claim('Claim with its groups, in the same way.'),
          labels: claim('Claim with an object of labels.'),
        },
        'Where the facts of a peer stand.',
      ),
    ),
    username: optional(
      choice(['ignored', 'id'], {}, 'A user name that comes along: ignored (when absent), or it must be the id of the peer.'),
    ),
  },
  'An issuer.',
);

const limits = defaultKeySetLimits;

export const jwtSection = section(
  {
    issuers: list(issuer, { max: 32 }, 'OAuth 2 and OpenID Connect issuers whose tokens are taken. Empty: none.'),
    refreshMs: milliseconds({ default: limits.refreshMs, min: 10_000, max: 86_400_000 }, 'Keys that are older are fetched again.'),
    keepMs: milliseconds(
      { default: limits.keepMs, min: 60_000, max: 30 * 86_400_000 },
      'How long keys count while their issuer cannot be reached.',
    ),
    pauseMs: milliseconds(
      { default: limits.pauseMs, min: 1_000, max: 3_600_000 },
      'Least time between two fetches from an issuer, also for a key that is not known.',
    ),
    timeoutMs: milliseconds({ default: limits.timeoutMs, min: 100, max: 60_000 }, 'How long an issuer is waited for.'),
    maxBytes: bytes({ default: limits.maxBytes, min: 1024, max: 16 * 1024 * 1024 }, 'Largest answer of an issuer.'),
  },
  'Tokens (JWT) as password, or in AUTH packets of MQTT 5 by the method JWT.',
);

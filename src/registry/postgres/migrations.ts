// The tables in PostgreSQL, as each schema version made them; the same versions as in SQLite (../sqlite/migrations.ts), and the same
// rule: what was released never changes.
//
// Names are compared byte by byte, whatever the server's language: COLLATE "C".

const name = 'text COLLATE "C" NOT NULL';
const head = `tenant ${name}, id ${name}, version bigint NOT NULL, created_ms bigint NOT NULL, updated_ms bigint NOT NULL`;
const principal = `${head}, status text NOT NULL, labels text NOT NULL, groups text NOT NULL, roles text NOT NULL`;
const byId = 'PRIMARY KEY (tenant, id));';
const terms = (kind: string): string => `
CREATE TABLE ${kind}_terms (tenant ${name}, term ${name}, id ${name}, PRIMARY KEY (tenant, term, id));`;

const version1 = `
CREATE TABLE registry_state (one integer PRIMARY KEY CHECK (one = 1), schema_version integer NOT NULL, revision bigint NOT NULL,
  changes_from bigint NOT NULL);
INSERT INTO registry_state VALUES (1, 1, 0, 1);
CREATE TABLE registry_changes (revision bigint NOT NULL, n integer NOT NULL, kind text NOT NULL, tenant text NOT NULL, id text,
  what text NOT NULL, PRIMARY KEY (revision, n));

CREATE TABLE tenants (${head}, status text NOT NULL, title text NOT NULL, ${byId}
CREATE TABLE devices (${principal}, ${byId}
CREATE TABLE applications (${principal}, ${byId}
CREATE TABLE users (${principal}, title text NOT NULL, ${byId}
${['device', 'application', 'user', 'role'].map(terms).join('')}
CREATE TABLE roles (${head}, title text NOT NULL, policies text NOT NULL, ${byId}
CREATE TABLE policies (${head}, document text NOT NULL, ${byId}
CREATE TABLE credentials (${head}, owner ${name}, type text NOT NULL, secret text NOT NULL, expires_at_ms bigint, ${byId}
CREATE INDEX credentials_of_owner ON credentials (tenant, owner, id);
`;

const version2 = `
CREATE TABLE certificates (
  tenant ${name}, id bytea NOT NULL, version bigint NOT NULL, created_ms bigint NOT NULL, updated_ms bigint NOT NULL,
  owner text COLLATE "C", serial ${name}, issuer bytea NOT NULL, subject text NOT NULL,
  not_before_ms bigint NOT NULL, not_after_ms bigint NOT NULL,
  status text NOT NULL, revoked_at_ms bigint, reason text, ${byId}
CREATE UNIQUE INDEX certificates_by_fingerprint ON certificates (id);
CREATE UNIQUE INDEX certificates_by_serial ON certificates (issuer, serial);
CREATE INDEX certificates_of_owner ON certificates (tenant, owner, id) WHERE owner IS NOT NULL;
CREATE INDEX certificates_revoked ON certificates (issuer, id) WHERE status = 'revoked';
CREATE INDEX certificates_expiring ON certificates (not_after_ms, id) WHERE status = 'valid';
`;

const version3 = `
ALTER TABLE tenants ADD COLUMN quotas text NOT NULL DEFAULT '{}';
ALTER TABLE tenants ADD COLUMN principal_quotas text NOT NULL DEFAULT '{}';
ALTER TABLE roles ADD COLUMN quotas text NOT NULL DEFAULT '{}';
CREATE TABLE authorities (
  tenant ${name}, id bytea NOT NULL, version bigint NOT NULL, created_ms bigint NOT NULL, updated_ms bigint NOT NULL,
  role text NOT NULL, status text NOT NULL, certificate text NOT NULL, subject text NOT NULL, issuer bytea,
  not_before_ms bigint NOT NULL, not_after_ms bigint NOT NULL, registration text NOT NULL, groups text NOT NULL, roles text NOT NULL,
  crl_urls text NOT NULL, ocsp_urls text NOT NULL, revocation_check text NOT NULL, ${byId}
CREATE UNIQUE INDEX authorities_by_id ON authorities (id);
CREATE TABLE enrolments (${head}, status text NOT NULL, token_hash bytea NOT NULL, max_uses bigint NOT NULL, uses bigint NOT NULL,
  expires_at_ms bigint NOT NULL, device_pattern text NOT NULL, new_devices text, ${byId}
CREATE UNIQUE INDEX enrolments_by_token ON enrolments (token_hash);
CREATE TABLE approvals (${head}, status text NOT NULL, requested_by text NOT NULL, decided_by text, summary text NOT NULL,
  request text NOT NULL, expires_at_ms bigint NOT NULL, ${byId}
`;

const version4 = `
ALTER TABLE credentials ADD COLUMN handle text COLLATE "C";
CREATE UNIQUE INDEX credentials_by_handle ON credentials (handle) WHERE handle IS NOT NULL;
`;

/** The one at index n leads from version n to version n + 1. */
export const migrations: readonly string[] = [version1, version2, version3, version4];

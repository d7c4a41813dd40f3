// The tables in SQLite, as each schema version made them. Forward only: an entry that was released never changes; what is new comes
// as another one at the end, and test/fixtures/registry-schema-<n>.sql proves that what that version wrote can still be read.
//
// Names are compared byte by byte. Ids of certificates and issuers are bytes, because half of a certificate's line would be hex.

const head = `
  tenant TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL`;
const principal = `${head},
  status TEXT NOT NULL, labels TEXT NOT NULL, groups TEXT NOT NULL, roles TEXT NOT NULL`;
const byId = `PRIMARY KEY (tenant, id)) STRICT, WITHOUT ROWID;`;
const terms = (kind: string): string => `
CREATE TABLE ${kind}_terms (tenant TEXT NOT NULL, term TEXT NOT NULL, id TEXT NOT NULL,
  PRIMARY KEY (tenant, term, id)) STRICT, WITHOUT ROWID;`;

const version1 = `
CREATE TABLE registry_state (one INTEGER PRIMARY KEY CHECK (one = 1), schema_version INTEGER NOT NULL, revision INTEGER NOT NULL,
  changes_from INTEGER NOT NULL) STRICT;
INSERT INTO registry_state VALUES (1, 1, 0, 1);
CREATE TABLE registry_changes (revision INTEGER NOT NULL, n INTEGER NOT NULL, kind TEXT NOT NULL, tenant TEXT NOT NULL, id TEXT,
  what TEXT NOT NULL, PRIMARY KEY (revision, n)) STRICT, WITHOUT ROWID;

CREATE TABLE tenants (${head},
  status TEXT NOT NULL, title TEXT NOT NULL, ${byId}
CREATE TABLE devices (${principal}, ${byId}
CREATE TABLE applications (${principal}, ${byId}
CREATE TABLE users (${principal}, title TEXT NOT NULL, ${byId}
${['device', 'application', 'user', 'role'].map(terms).join('')}
CREATE TABLE roles (${head},
  title TEXT NOT NULL, policies TEXT NOT NULL, ${byId}
CREATE TABLE policies (${head},
  document TEXT NOT NULL, ${byId}
CREATE TABLE credentials (${head},
  owner TEXT NOT NULL, type TEXT NOT NULL, secret TEXT NOT NULL, expires_at_ms INTEGER, ${byId}
CREATE INDEX credentials_of_owner ON credentials (tenant, owner, id);
`;

const version2 = `
CREATE TABLE certificates (
  tenant TEXT NOT NULL, id BLOB NOT NULL, version INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
  owner TEXT, serial TEXT NOT NULL, issuer BLOB NOT NULL, subject TEXT NOT NULL,
  not_before_ms INTEGER NOT NULL, not_after_ms INTEGER NOT NULL,
  status TEXT NOT NULL, revoked_at_ms INTEGER, reason TEXT, ${byId}
CREATE UNIQUE INDEX certificates_by_fingerprint ON certificates (id);
CREATE UNIQUE INDEX certificates_by_serial ON certificates (issuer, serial);
CREATE INDEX certificates_of_owner ON certificates (tenant, owner, id) WHERE owner IS NOT NULL;
CREATE INDEX certificates_revoked ON certificates (issuer, id) WHERE status = 'revoked';
CREATE INDEX certificates_expiring ON certificates (not_after_ms, id) WHERE status = 'valid';
`;

const version3 = `
ALTER TABLE tenants ADD COLUMN quotas TEXT NOT NULL DEFAULT '{}';
ALTER TABLE tenants ADD COLUMN principal_quotas TEXT NOT NULL DEFAULT '{}';
ALTER TABLE roles ADD COLUMN quotas TEXT NOT NULL DEFAULT '{}';
CREATE TABLE authorities (
  tenant TEXT NOT NULL, id BLOB NOT NULL, version INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
  role TEXT NOT NULL, status TEXT NOT NULL, certificate TEXT NOT NULL, subject TEXT NOT NULL, issuer BLOB,
  not_before_ms INTEGER NOT NULL, not_after_ms INTEGER NOT NULL, registration TEXT NOT NULL, groups TEXT NOT NULL, roles TEXT NOT NULL,
  crl_urls TEXT NOT NULL, ocsp_urls TEXT NOT NULL, revocation_check TEXT NOT NULL, ${byId}
CREATE UNIQUE INDEX authorities_by_id ON authorities (id);
CREATE TABLE enrolments (${head},
  status TEXT NOT NULL, token_hash BLOB NOT NULL, max_uses INTEGER NOT NULL, uses INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL,
  device_pattern TEXT NOT NULL, new_devices TEXT, ${byId}
CREATE UNIQUE INDEX enrolments_by_token ON enrolments (token_hash);
CREATE TABLE approvals (${head},
  status TEXT NOT NULL, requested_by TEXT NOT NULL, decided_by TEXT, summary TEXT NOT NULL, request TEXT NOT NULL,
  expires_at_ms INTEGER NOT NULL, ${byId}
`;

const version4 = `
ALTER TABLE credentials ADD COLUMN handle TEXT;
CREATE UNIQUE INDEX credentials_by_handle ON credentials (handle) WHERE handle IS NOT NULL;
`;

/** The one at index n leads from version n to version n + 1. */
export const migrations: readonly string[] = [version1, version2, version3, version4];
